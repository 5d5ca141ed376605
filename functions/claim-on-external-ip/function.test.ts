import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Conflict, type FunctionDefinition, Unavailable } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { all, only, run, World } from "../../test/support/world.ts"
import { parseCidr } from "../domain/addresses.ts"
import { IpClaim, Node } from "../domain/kinds.ts"
import { byHandLimit } from "../domain/publishing.ts"
import { defaultSettings } from "../domain/settings.ts"
import { claimOnExternalIp } from "./function.ts"

const claimer = claimOnExternalIp(defaultSettings)
const lan = { cidr: "10.0.0.0/29" }
const byHand = (...externalIPs: ReadonlyArray<string>) => ({ spec: { externalIPs } })

const worldWithLan = async (functions = all) => {
  const world = new World(functions)
  await world.pool("lan", lan)
  return world
}

describe("claim-on-external-ip", () => {
  it("claims an address that was written by hand, and leaves the Service as it is", async () => {
    const world = await worldWithLan([claimer])
    await world.service("web", byHand("10.0.0.3"))
    const before = world.now("web")
    await world.settle()
    expect(world.claim("10.0.0.3").spec).toMatchObject({
      pool: "lan",
      services: [{ name: "web", uid: before.metadata.uid, origin: "external" }]
    })
    expect(world.now("web")).toEqual(before)
  })

  it("writes nothing when the event arrives twice", async () => {
    const world = await worldWithLan([claimer])
    await world.service("web", byHand("10.0.0.3"))
    await world.settle()
    const before = world.state
    await world.start()
    expect(world.state).toBe(before)
  })

  it("enters several Services of any namespace into one claim; the last one frees it", async () => {
    const world = await worldWithLan()
    await world.service("web", byHand("10.0.0.3"))
    await world.service("shop/web", byHand("10.0.0.3"))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web", "shop/web"] })
    await world.deleteService("web")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["shop/web"] })
    await world.edit("shop/web", { spec: { externalIPs: null } })
    await world.settle()
    expect(world.held).toEqual({})
  })

  it("takes the address from the administrator's own networks, where no pool has it", async () => {
    const externalCidrs = [parseCidr("198.51.100.0/24")!]
    const world = new World([claimOnExternalIp({ ...defaultSettings, externalCidrs })])
    await world.service("web", byHand("198.51.100.7"))
    await world.settle()
    expect(world.held).toEqual({ "198.51.100.7": ["default/web"] })
    expect(world.claim("198.51.100.7").spec.pool).toBeUndefined()
  })

  it("finds only its own kind of address in a Service that has one of ours as well", async () => {
    const world = await worldWithLan()
    await world.asking("web", "auto", byHand("198.51.100.7"))
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["198.51.100.7", "10.0.0.1"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["198.51.100.7"])
  })

  it.each<[string, string, string]>([
    [
      "of no pool",
      "172.16.0.1",
      "172.16.0.1 is in no pool that this Service may use, nor in --external-cidrs"
    ],
    ["of a pool that is for others", "10.5.0.1", "10.5.0.1 is in no pool that this Service may use"],
    ["of a pool that is invalid", "10.6.0.1", "10.6.0.1 is in no pool that this Service may use"],
    ["of a node", "10.0.0.6", "10.0.0.6 is an address of node n1"],
    ["of another Service within the cluster", "10.0.0.5", "10.0.0.5 is the clusterIP of Service default/dns"],
    ["of a pod", "10.0.0.2", "10.0.0.2 belongs to the pods of node n1"],
    ["of this machine only", "127.0.0.1", "127.0.0.1 is a loopback address"],
    ["of this link only", "169.254.1.1", "169.254.1.1 is a link-local address"],
    ["of a group", "224.0.0.1", "224.0.0.1 is a multicast address"],
    ["that is none", "010.0.0.1", '"010.0.0.1" is not an address'],
    ["that another Service was given", "10.0.0.1", "10.0.0.1 is held by Service default/owner"]
  ])("refuses an address %s with an Event, and touches nothing", async (_, address, why) => {
    const world = await worldWithLan()
    await world.pool("others", { cidr: "10.5.0.0/29", namespaces: ["shop"] })
    await world.pool("invalid", { cidr: "10.6.0.0/29", ranges: [["10.6.0.3", "10.6.0.1"]] })
    await run(
      world.cluster.create(Node, {
        metadata: { name: "n1" },
        spec: { podCIDRs: ["10.0.0.2/31"] },
        status: { addresses: [{ type: "InternalIP", address: "10.0.0.6" }] }
      })
    )
    await world.service("dns", { spec: { clusterIP: "10.0.0.5", clusterIPs: ["10.0.0.5"] } })
    await world.asking("owner")
    await world.settle()
    const held = world.held
    await world.service("web", byHand(address))
    await world.settle()
    await world.start()
    expect(world.events("services/default/web")).toEqual([
      expect.stringContaining("ExternalIPRefused: spec.externalIPs: ")
    ])
    expect(world.events("services/default/web")[0]).toContain(why)
    expect(world.externalIPs("web")).toEqual([address])
    expect(world.held).toEqual(held)
  })

  it("claims what is allowed beside what is refused", async () => {
    const world = await worldWithLan([claimer])
    await world.service("web", byHand("172.16.0.1", "10.0.0.3"))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
    expect(world.ended("claim-on-external-ip")).toEqual(["Rejected"])
  })

  it("claims of a long list as many as a Service can have, and keeps nobody from the others", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/24" })
    const list = Array.from({ length: byHandLimit + 12 }, (_, index) => `10.0.0.${index + 1}`)
    await world.service("web", byHand(...list))
    await world.asking("other")
    await world.settle()
    const first = list.slice(0, byHandLimit)
    expect(Object.keys(world.held)).toEqual([...first, "10.0.0.65"])
    expect(world.carries("other")).toBe("10.0.0.65")
    const [event] = world.events("services/default/web")
    expect(event).toContain("10.0.0.66 is one too many: a Service can have 64 that it lists by hand")
    expect(event).toMatch(/and 2 more$/)
    // Listed in another order it keeps those that it has.
    await world.edit("web", { spec: { externalIPs: list.toReversed() } })
    await world.settle()
    const runs = world.cluster.runs.length
    await world.sweep()
    expect(Object.keys(world.held)).toEqual([...first, "10.0.0.65"])
    expect(world.cluster.runs.slice(runs).map(({ function: fn }) => fn)).not.toContain("claim-on-external-ip")
    // One that it gives up makes room for another one.
    await world.edit("web", { spec: { externalIPs: list.slice(1) } })
    await world.settle()
    expect(world.held).not.toHaveProperty(["10.0.0.1"])
    expect(world.held["10.0.0.66"]).toEqual(["default/web"])
  })

  it("keeps for auto what it has: an address in use by hand is not given out", async () => {
    const world = await worldWithLan()
    await world.service("web", byHand("10.0.0.1"))
    await world.settle()
    await world.asking("other")
    await world.settle()
    expect(world.externalIPs("other")).toEqual(["10.0.0.2"])
  })

  const onlyOne = { cidr: "10.0.0.0/29", ranges: [["10.0.0.3", "10.0.0.3"]] as const }
  const claimRef = { namespace: "", name: "10-0-0-3" }

  it("claims it again when its claim was deleted, though others wait for it", async () => {
    const world = new World(all)
    await world.pool("lan", onlyOne)
    await world.service("web", byHand("10.0.0.3"))
    await world.settle()
    await world.asking("other")
    await world.settle()
    await run(world.cluster.delete(IpClaim, claimRef))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
    expect(world.externalIPs("other")).toBeUndefined()
    await world.edit("web", { spec: { externalIPs: null } })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/other"] })
  })

  it("keeps it from others without its claim, and while nobody claims it again", async () => {
    const world = new World(only("allocate-on-annotate"))
    await world.pool("lan", onlyOne)
    await world.service("web", byHand("10.0.0.3"))
    await world.asking("auto")
    await world.asking("named", "10.0.0.3")
    await world.settle()
    expect(world.held).toEqual({})
    await world.edit("web", { spec: { externalIPs: ["198.51.100.7"] } })
    await world.another(only("allocate-on-annotate")).sweep()
    await world.start()
    expect(world.held).toEqual({ "10.0.0.3": ["default/auto"] })
  })

  it("gives it to those who wait when it is not listed any more before it was claimed again", async () => {
    const world = new World(only("allocate-on-annotate"))
    await world.pool("lan", onlyOne)
    await world.asking("owner")
    await world.settle()
    await world.service("web", byHand("10.0.0.3"))
    await world.asking("other")
    await world.settle()
    await run(world.cluster.delete(IpClaim, claimRef))
    await world.deleteService("owner")
    await world.settle()
    expect(world.held).toEqual({})
    await world.edit("web", { spec: { externalIPs: null } })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/other"] })
  })

  it("keeps nobody from what a Service lists that may not have it", async () => {
    const world = new World(all)
    await world.pool("lan", { ...onlyOne, namespaces: ["default"] })
    await world.service("shop/web", byHand("10.0.0.3"))
    await world.asking("other")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/other"] })
  })

  it("claims it as soon as its pool is there", async () => {
    const world = new World(all)
    await world.service("web", byHand("10.0.0.3"))
    await world.settle()
    expect(world.held).toEqual({})
    await world.pool("lan", onlyOne)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
  })

  it("claims it when the one who was given it is gone; who asks for it by name as well is given it", async () => {
    const world = new World(all)
    await world.pool("lan", onlyOne)
    await world.asking("owner")
    await world.settle()
    await world.asking("web", "10.0.0.3", byHand("10.0.0.3"))
    await world.asking("younger")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/owner"] })
    await world.deleteService("owner")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
    expect(world.carries("web")).toBe("10.0.0.3")
  })

  it("does not look at a Service that lists nothing by hand", async () => {
    const world = await worldWithLan([claimer])
    await world.asking("web")
    await world.settle()
    expect(world.cluster.runs.map(({ ended }) => ended._tag)).toEqual(["GuardSaidNo"])
  })

  it("has nothing to do for a Service that is gone", async () => {
    const world = await worldWithLan([claimer])
    await world.service("web", byHand("10.0.0.3"))
    await world.deleteService("web")
    await world.settle()
    expect(world.ended("claim-on-external-ip")).toEqual(["Gone"])
    expect(world.held).toEqual({})
  })

  it("lets two hosts that claim the same address for two Services lose nobody", async () => {
    const first = await worldWithLan([claimer])
    const second = first.another([claimer])
    await first.service("web", byHand("10.0.0.3"))
    second.cluster.goStale()
    await first.settle()
    const third = first.another([claimer])
    third.cluster.goStale()
    await first.service("shop/web", byHand("10.0.0.3"))
    await first.settle()
    await second.settle()
    expect(second.ended("claim-on-external-ip")).toEqual(["Again", "Done"])
    expect(first.held).toEqual({ "10.0.0.3": ["default/web", "shop/web"] })
  })

  it.each([
    ["the API server is away", "create IpClaim", new Unavailable({ operation: "", detail: "" })],
    ["somebody changed the claim", "mergePatch IpClaim", new Conflict({ operation: "", detail: "" })]
  ])("tries again when %s", async (_, call, failure) => {
    const world = new World([claimer], { through: failing(call, [failure]) })
    await world.pool("lan", lan)
    await world.service("web", byHand("10.0.0.3"))
    await world.service("shop/web", byHand("10.0.0.3"))
    await world.settle()
    expect(world.ended("claim-on-external-ip")).toContain("Again")
    expect(world.held["10.0.0.3"]?.toSorted()).toEqual(["default/web", "shop/web"])
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof claimer extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      | "ExternalIpsRefused"
      | "SharingBroken"
      | "Conflict"
      | "AlreadyExists"
      | "NotFound"
      | "Forbidden"
      | "Invalid"
      | "Unavailable"
    >()
  })
})
