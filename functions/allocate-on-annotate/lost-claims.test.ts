import { describe, expect, it } from "@effect/vitest"
import { doubled } from "../../test/support/invariants.ts"
import { allWith, newStore, run, World } from "../../test/support/world.ts"
import { parseCidr } from "../domain/addresses.ts"
import { IpClaim, Service } from "../domain/kinds.ts"

const lan = { cidr: "10.0.0.0/29" }
const claimRef = (address: string) => ({ namespace: "", name: address.replaceAll(".", "-") })

const served = async () => {
  const world = new World()
  await world.pool("lan", lan)
  await world.asking("web")
  await world.settle()
  return world
}

/** The Services of a cluster that extip was removed from, with its kinds; and one that came since. */
const deployedAnew = async () => {
  const former = await served()
  const { annotations = {} } = former.now("web").metadata
  const world = new World(undefined, { api: newStore() })
  await world.asking("new")
  await world.service("web", { annotations, spec: { externalIPs: former.externalIPs("web")! } })
  await world.settle()
  return world
}

describe("an address whose claim is gone", () => {
  it("is given to nobody else when extip is deployed anew, and its Service keeps it from the moment the pool is there", async () => {
    const world = await deployedAnew()
    await world.pool("lan", lan)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"], "10.0.0.2": ["default/new"] })
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.externalIPs("new")).toEqual(["10.0.0.2"])
  })

  it("goes back to its Service at once when the claim was deleted by hand, though others wait", async () => {
    const world = await served()
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.1"]] })
    await world.asking("waiting")
    await world.settle()
    await run(world.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.externalIPs("waiting")).toBeUndefined()
  })

  it.each<[string, object]>([
    ["asks for it by name", { annotations: { "external-ip": "10.0.0.1" } }],
    ["writes it into externalIPs", { spec: { externalIPs: ["10.0.0.1"] } }]
  ])("is refused to a Service that %s", async (_, parts) => {
    const world = await served()
    const next = world.another()
    await run(world.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    await next.service("other", parts)
    await next.settle()
    expect(next.events("services/default/other").join()).toMatch(
      /10\.0\.0\.1 is (carried|held) by Service default\/web/
    )
    await next.start()
    expect(next.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(doubled(next)).toEqual([])
  })

  it("is free again when neither claim nor Service is there", async () => {
    const world = await served()
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.1"]] })
    await world.asking("waiting")
    await world.settle()
    await world.deleteService("web")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/waiting"] })
  })

  it.each<[string, { readonly [name: string]: string }, string]>([
    ["an address of another pool", { "external-ip": "10.5.0.4" }, "10.5.0.4"],
    ["any address of another pool", { "external-ip": "auto", "external-ip-pool": "new" }, "10.5.0.1"]
  ])("and whose pool is gone is left for %s, if its Service asks for that", async (_, asked, wanted) => {
    const world = await served()
    await world.deletePool("lan")
    await run(world.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    await world.pool("new", { cidr: "10.5.0.0/29" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    await world.annotate("web", asked)
    await world.settle()
    expect(world.externalIPs("web")).toEqual([wanted])
    expect(world.held).toEqual({ [wanted]: ["default/web"] })
  })

  it("does not keep its Service's other address from its claim", async () => {
    const world = new World()
    await world.pool("lan", lan)
    await world.pool("six", { cidr: "fd00::/125" })
    const spec = { type: "LoadBalancer", ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await world.service("web", { spec })
    await world.settle()
    await world.deletePool("lan")
    await run(world.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    await run(world.cluster.delete(IpClaim, { namespace: "", name: world.claim("fd00::1").metadata.name }))
    await world.start()
    expect(world.held).toEqual({ "fd00::1": ["default/web"] })
    expect(world.ingress("web")).toEqual(["10.0.0.1", "fd00::1"])
  })
})

describe("a Service that has an address", () => {
  it("is given the second one when it asks for one of each family later", async () => {
    const world = await served()
    await world.pool("six", { cidr: "fd00::/125" })
    await world.edit("web", { spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" } })
    await world.annotate("web", { "external-ip": "10.0.0.1,fd00::3" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1", "fd00::3"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"], "fd00::3": ["default/web"] })
  })

  it("is told that the second one cannot be had, keeps the first, and has it when it can", async () => {
    const world = await served()
    await world.pool("six", { cidr: "fd00::/125" })
    const spec = { ipFamilies: ["IPv6"] }
    await world.asking("other", "fd00::3", { spec })
    await world.edit("web", { spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" } })
    await world.annotate("web", { "external-ip": "10.0.0.1,fd00::3" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.events("services/default/web").at(-1)).toContain(
      "AllocationFailed: fd00::3 is held by Service default/other"
    )
    await world.deleteService("other")
    await world.settle()
    await world.sweep()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1", "fd00::3"])
  })

  it("of type LoadBalancer that becomes dual-stack is given the other family's, as soon as a pool has it", async () => {
    const world = new World()
    await world.pool("lan", lan)
    await world.service("web", { spec: { type: "LoadBalancer" } })
    await world.settle()
    await world.edit("web", { spec: { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" } })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
    expect(world.events("services/default/web")).toEqual(["IPAllocated: Assigned IP 10.0.0.1"])
    await world.pool("six", { cidr: "fd00::/125" })
    await world.settle()
    await world.sweep()
    expect(world.ingress("web")).toEqual(["10.0.0.1", "fd00::1"])
  })

  it("is told of a typing error, and keeps it", async () => {
    const world = await served()
    await world.annotate("web", { "external-ip": "10.0.0.1000" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.events("services/default/web").at(-1)).toMatch(/^InvalidAddress: annotation external-ip: /)
  })

  it("out of --external-cidrs by hand is given one of a pool beside it, and keeps its own when it stops asking", async () => {
    const world = new World(allWith({ externalCidrs: [parseCidr("198.51.100.0/24")!] }))
    await world.pool("lan", lan)
    await world.service("web", { spec: { externalIPs: ["198.51.100.7"] } })
    await world.settle()
    expect(world.held).toEqual({ "198.51.100.7": ["default/web"] })
    await world.annotate("web", { "external-ip": "auto" })
    await world.settle()
    expect(world.carries("web")).toBe("10.0.0.1")
    expect(world.externalIPs("web")).toEqual(["198.51.100.7", "10.0.0.1"])
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["198.51.100.7"])
    expect(world.held).toEqual({ "198.51.100.7": ["default/web"] })
  })

  it("is not put back without end when somebody takes it off each time, and says so", async () => {
    const world = new World()
    await world.pool("lan", lan)
    await world.service("web", { spec: { type: "LoadBalancer" } })
    await world.settle()
    const ref = { namespace: "default", name: "web" }
    const theirs = { status: { loadBalancer: { ingress: [{ ip: "203.0.113.9" }] } } }
    let takenOff = 0
    for (let round = 0; round < 20; round++) {
      if (world.ingress("web").includes("10.0.0.1")) takenOff++
      await run(world.cluster.api.mergePatch(Service, ref, theirs, { subresource: "status" }))
      await world.settle()
    }
    // Once that it was given, three times that it was put back.
    expect(takenOff).toBe(4)
    expect(world.events("services/default/web").at(-1)).toMatch(
      /^TakenOffAgain: somebody takes 10\.0\.0\.1 off/
    )
  })
})
