import { describe, expect, it } from "@effect/vitest"
import { all, run, World } from "../../test/support/world.ts"
import { IpClaim, Namespace, Node } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { allocateOnAnnotate } from "./function.ts"

const allocate = allocateOnAnnotate(defaultSettings)
const none = [["10.0.0.1", "10.0.0.1"]] as const
const two = [["10.0.0.1", "10.0.0.2"]] as const

/** Services that ask, the oldest first, whose names are in another order. */
const crowd = ["shop/zoe", "default/max", "default/ada"]

const whoHas = (world: World) => Object.values(world.held).flat()

describe("Services that wait", () => {
  it("are told once, however often they are tried", async () => {
    const world = new World([allocate])
    await world.asking("web")
    await world.settle()
    await world.start()
    await world.start()
    expect(world.events()).toEqual([
      "AllocationFailed: no free IPv4 address: there is no pool; create an IpClaimPool"
    ])
  })

  it("are served oldest first when a pool appears", async () => {
    const world = new World([allocate])
    for (const name of crowd) await world.asking(name)
    await world.settle()
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: two })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["shop/zoe"], "10.0.0.2": ["default/max"] })
  })

  it("are served oldest first when a pool grows, and nobody else is touched", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: none })
    await world.asking("first")
    await world.settle()
    for (const name of crowd) await world.asking(name)
    await world.settle()
    const before = [world.now("first"), world.now("ada")]
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.3"]] })
    await world.settle()
    expect(whoHas(world)).toEqual(["default/first", "shop/zoe", "default/max"])
    expect([world.now("first"), world.now("ada")]).toEqual(before)
  })

  it("are served when an address is freed: the oldest of them, and nobody else is touched", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: none })
    await world.asking("first")
    await world.settle()
    for (const name of crowd) await world.asking(name)
    await world.settle()
    const before = [world.now("max"), world.now("ada")]
    await world.deleteService("first")
    await world.settle()
    expect(world.externalIPs("shop/zoe")).toEqual(["10.0.0.1"])
    expect([world.now("max"), world.now("ada")]).toEqual(before)
  })

  it("are served when a pool admits them, by an edit or by their namespace's labels", async () => {
    const world = new World([allocate])
    const selector = { matchLabels: { team: "a" } }
    await world.pool("lan", { cidr: "10.0.0.0/29", namespaceSelector: selector })
    await world.pool("wan", { cidr: "10.1.0.0/29", namespaces: ["elsewhere"] })
    await run(world.cluster.create(Namespace, { metadata: { name: "shop", labels: {} } }))
    await world.asking("shop/web")
    await world.asking("default/web")
    await world.settle()
    expect(world.held).toEqual({})
    await run(
      world.cluster.patch(Namespace, { namespace: "", name: "shop" }, { metadata: { labels: { team: "a" } } })
    )
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["shop/web"] })
    await world.editPool("wan", { namespaces: ["elsewhere", "default"] })
    await world.settle()
    expect(world.externalIPs("default/web")).toEqual(["10.1.0.1"])
  })

  it("are served when the address that one of them asks for by name is freed", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("holder", "10.0.0.3")
    await world.asking("web", "10.0.0.3")
    await world.settle()
    expect(world.events("services/default/web")).toEqual([
      "AllocationFailed: 10.0.0.3 is held by Service default/holder; to share it, give both the same annotation external-ip-share, in one namespace"
    ])
    await world.deleteService("holder")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
  })

  it("are served by a pool that was invalid, once it is repaired", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.1/29" })
    await world.asking("web")
    await world.settle()
    expect(world.events("services/default/web")[0]).toContain("lan is not valid")
    await world.editPool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })

  it("are served by a pool that overlapped an older one, once that is deleted", async () => {
    const world = new World(all)
    await world.pool("old", { cidr: "10.0.0.0/29", namespaces: ["nobody"] })
    await world.pool("lan", { cidr: "10.0.0.0/28" })
    await world.asking("web")
    await world.settle()
    expect(world.held).toEqual({})
    await world.deletePool("old")
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })

  it("do not hold up younger ones when the oldest is deleted while it is its turn", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: none })
    await world.asking("first")
    await world.settle()
    await world.asking("older")
    await world.asking("younger")
    await world.settle()
    // The address is freed, which wakes the older one; that is deleted before it is run.
    await world.deleteService("first")
    await run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))
    await world.deleteService("older")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/younger"] })
  })

  it("do not hold up younger ones when what the oldest asks for is not for it", async () => {
    const world = new World([allocate])
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: none })
    await world.pool("six", { cidr: "fd00::/125", namespaces: ["nobody"] })
    const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await world.asking("older", "10.0.0.1,fd00::1", { spec })
    await world.asking("younger")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/younger"] })
  })

  it.each<[string, (world: World) => Promise<unknown>]>([
    ["is gone", (world) => run(world.cluster.delete(Node, { namespace: "", name: "n1" }))],
    [
      "has another one",
      (world) =>
        run(
          world.cluster.api.mergePatch(
            Node,
            { namespace: "", name: "n1" },
            { status: { addresses: [] } },
            { subresource: "status" }
          )
        )
    ]
  ])("are served when the Node that had an address %s", async (_, happen) => {
    const world = new World([allocate])
    const status = { addresses: [{ type: "InternalIP", address: "10.0.0.1" }] }
    await run(world.cluster.create(Node, { metadata: { name: "n1" }, status }))
    await world.pool("lan", { cidr: "10.0.0.0/29", ranges: none })
    for (const name of crowd) await world.asking(name)
    await world.settle()
    expect(world.held).toEqual({})
    await happen(world)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["shop/zoe"] })
  })

  it("for two families are served with one when they would take one", async () => {
    const world = new World([allocate])
    const spec = { type: "LoadBalancer", ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    await world.service("web", { spec })
    await world.settle()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
  })
})
