import { describe, expect, it } from "@effect/vitest"
import { doubled } from "../../test/support/invariants.ts"
import { allWith, newStore, only, run, World } from "../../test/support/world.ts"
import { parseCidr } from "../domain/addresses.ts"
import { IpClaim, Namespace } from "../domain/kinds.ts"

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

describe("an address that several carry, or that somebody only says that he carries,", () => {
  const key = { "external-ip-share": "k" }
  const port = (number: number) => ({ ports: [{ port: number, protocol: "TCP" }] })

  it("stays with all who share it when the claim is lost, whoever waits for a share", async () => {
    const world = new World()
    await world.pool("lan", lan)
    for (const [name, number] of [
      ["a", 80],
      ["b", 443],
      ["c", 443]
    ] as const) {
      await world.asking(name, "10.0.0.1", { annotations: key, spec: port(number) })
      await world.settle()
    }
    await run(world.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/a", "default/b"] })
    expect(world.externalIPs("c")).toBeUndefined()
  })

  it("is kept by a Service that asks for a pool by name, while that is not there", async () => {
    const world = new World()
    await world.pool("lan", lan)
    await world.asking("other")
    await world.asking("web", "auto", { annotations: { "external-ip-pool": "lan" } })
    await world.settle()
    await world.deletePool("lan")
    for (const address of ["10.0.0.1", "10.0.0.2"])
      await run(world.cluster.delete(IpClaim, claimRef(address)))
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.2"])
    await world.asking("new")
    await world.pool("lan", lan)
    await world.settle()
    expect(world.held).toEqual({
      "10.0.0.1": ["default/other"],
      "10.0.0.2": ["default/web"],
      "10.0.0.3": ["default/new"]
    })
  })

  it.each([
    ["any", "auto"],
    ["what cannot be read", "x"]
  ])("takes nothing from a pool that its author may not use, though he asks for %s", async (_, ask) => {
    const world = new World()
    await world.pool("prod", { ...lan, namespaces: ["prod"] })
    const list = Array.from({ length: 6 }, (_, index) => `10.0.0.${index + 1}`).join()
    await world.asking("aaa/forged", ask, { annotations: { "ipcontroller.ext/allocated": list } })
    await world.settle()
    await world.asking("prod/web")
    await world.asking("prod/named", "10.0.0.3")
    await world.settle()
    expect(world.externalIPs("prod/web")).toEqual(["10.0.0.1"])
    expect(world.externalIPs("prod/named")).toEqual(["10.0.0.3"])
    expect(world.carries("aaa/forged")).toBeUndefined()
  })

  it("is not taken off a Service whose Namespace has not been heard of yet: its labels may admit it", async () => {
    const world = new World()
    await world.pool("gold", { ...lan, namespaceSelector: { matchLabels: { tier: "gold" } } })
    await world.settle()
    const carried = { "ipcontroller.ext/allocated": "10.0.0.3" }
    await world.asking("shop/web", "auto", { annotations: carried, spec: { externalIPs: ["10.0.0.3"] } })
    await world.settle()
    expect(world.carries("shop/web")).toBe("10.0.0.3")
    expect(world.events("services/shop/web")).toEqual([
      "AllocationFailed: 10.0.0.3 is on the Service, but no claim holds it and none can be made: pool gold does not admit the Service"
    ])
    await run(
      world.cluster.create(Namespace, { metadata: { name: "shop", labels: { tier: "gold" } }, spec: {} })
    )
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.3": ["shop/web"] })
  })

  it("that its author wrote by hand is freed when he removes it, though the Service has one of the other family", async () => {
    const world = new World(allWith({ externalCidrs: [parseCidr("2001:db8::/64")!] }))
    await world.pool("lan", lan)
    const families = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await world.service("web", { spec: { type: "LoadBalancer", ...families, externalIPs: ["2001:db8::7"] } })
    await world.settle()
    expect(Object.keys(world.held).toSorted()).toEqual(["10.0.0.1", "2001:db8::7"])
    await world.edit("web", { spec: { externalIPs: null } })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("is entered again into a claim that was emptied by hand, though its request cannot be read", async () => {
    const world = await served()
    await world.annotate("web", { "external-ip": "typing error" })
    await world.settle()
    await run(world.cluster.patch(IpClaim, claimRef("10.0.0.1"), { spec: { services: [] } }))
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })
})

/** A store whose events can be held back, and told in another order: the watches of two kinds are two. */
const heldBack = () => {
  const store = newStore()
  const events: Array<{ readonly kind: string; readonly name: string; readonly tell: () => void }> = []
  let isHolding = false
  type Store = typeof store
  const api = new Proxy(store, {
    get: (target, name: keyof Store) => {
      const member = target[name]
      if (name === "watch") {
        return (listen: Parameters<Store["watch"]>[0]) =>
          target.watch((event) => {
            const tell = () => listen(event)
            if (isHolding) events.push({ kind: event.kind.kind, name: event.ref.name, tell })
            else tell()
          })
      }
      return typeof member === "function" ? (member as () => unknown).bind(target) : member
    }
  })
  return {
    store,
    api,
    hold: () => {
      isHolding = true
    },
    /** What was held back, the claims' events first. */
    release: () => {
      isHolding = false
      return events.splice(0).toSorted((one, other) => one.kind.localeCompare(other.kind))
    }
  }
}

describe("a host that hears of the claim before it hears of its Service", () => {
  it("serves who waits for the address as soon as it has heard of both", async () => {
    const { store, api, hold, release } = heldBack()
    const setup = new World(undefined, { api: store })
    await setup.pool("lan", { ...lan, ranges: [["10.0.0.1", "10.0.0.1"]] })
    await setup.asking("web")
    await setup.settle()
    await setup.asking("waiting")
    await setup.settle()
    const allocator = new World(only("allocate-on-annotate"), { api })
    const freer = new World(only("free-on-delete"), { api: store })
    hold()
    await freer.annotate("web", { "external-ip": null })
    await freer.settle()
    const events = release()
    expect(events[0]?.kind).toBe("IpClaim")
    for (const { tell } of events) {
      tell()
      await allocator.settle()
    }
    expect(allocator.externalIPs("waiting")).toEqual(["10.0.0.1"])
  })

  it("publishes nothing again that was freed meanwhile", async () => {
    const { store, api, hold, release } = heldBack()
    const setup = new World(undefined, { api: store })
    await setup.pool("lan", lan)
    await setup.pool("six", { cidr: "fd00::/125" })
    const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await setup.asking("web", "10.0.0.1,fd00::1", { spec })
    await setup.settle()
    const allocator = new World(only("allocate-on-annotate"), { api })
    const freer = new World(only("free-on-delete"), { api: store })
    await freer.annotate("web", { "external-ip": "10.0.0.2,fd00::2" })
    await allocator.settle()
    hold()
    await freer.settle()
    const events = release()
    events.find(({ kind, name }) => kind === "IpClaim" && name === "10-0-0-1")!.tell()
    await allocator.settle()
    expect(freer.carries("web")).toBeUndefined()
    for (const { tell } of events) tell()
    await allocator.settle()
    expect(allocator.externalIPs("web")).toEqual(["10.0.0.2", "fd00::2"])
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
    let takenOff = 0
    for (let round = 0; round < 20; round++) {
      if (world.ingress("web").includes("10.0.0.1")) takenOff++
      await world.writeIngress("web", [{ ip: "203.0.113.9" }])
      await world.settle()
    }
    // Once that it was given, three times that it was put back.
    expect(takenOff).toBe(4)
    expect(world.events("services/default/web").at(-1)).toMatch(
      /^TakenOffAgain: somebody takes 10\.0\.0\.1 off/
    )
  })

  it("is told at once that what it asks for beside an edit of its ports cannot be had", async () => {
    const world = await served()
    await world.pool("six", { cidr: "fd00::/125" })
    await world.asking("other", "fd00::3", { spec: { ipFamilies: ["IPv6"] } })
    await world.settle()
    const families = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await world.edit("web", {
      metadata: { annotations: { "external-ip": "10.0.0.1,fd00::3" } },
      spec: { ...families, ports: [{ port: 443, protocol: "TCP" }] }
    })
    await world.settle()
    expect(world.events("services/default/web").at(-1)).toContain("fd00::3 is held by Service default/other")
  })
})
