import { describe, expect, it } from "@effect/vitest"
import { MemoryFleet, testLink } from "#testkit"
import { run, World } from "../../test/support/world.ts"
import { claimName, hostCidr } from "../domain/addresses.ts"
import { entryOf } from "../domain/holding.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { placeOn } from "./fleet.fixture.ts"
import { recordOnBind } from "./function.ts"

const recorder = recordOnBind(defaultSettings)
const address = "10.0.0.1"
const name = claimName(address)
const claim = (world: World, of: string, services: ReadonlyArray<string> = [], spec: object = {}) => {
  const entries = services.map((one) => entryOf(world.now(one), "allocated", undefined))
  const metadata = { name: claimName(of) }
  return run(
    world.cluster.create(IpClaim, { metadata, spec: { cidr: hostCidr(of), services: entries, ...spec } })
  )
}
const started = async (options: object = {}) => {
  const world = new World([recorder], options)
  for (const node of ["n1", "n2"]) world.cluster.fleet.join(node, [testLink()])
  await world.service("web")
  await claim(world, address, ["web"])
  return world
}
const said = (node: string, of = address, more: object = {}) =>
  ({ claim: claimName(of), address: of, node, what: "bound", ...more }) as const

/** What a host that starts finds in JetStream: n1 has no key any more, what it said and what is placed on it is there. */
const restarted = async (before: World, prepare: (fleet: MemoryFleet, world: World) => Promise<unknown>) => {
  const fleet = new MemoryFleet()
  fleet.followedMillis = 1_000
  const world = before.another([recorder], { fleet })
  fleet.join("n2", [testLink()])
  fleet.inventory("n2", [])
  await prepare(fleet, world)
  return world
}

describe("a host that starts", () => {
  it("does not say of an address that was lost with its node that it is there again", async () => {
    const world = await started()
    await placeOn(world.cluster.fleet, world.cluster.fleetView, name, "n1")
    world.cluster.fleet.report(said("n1"))
    await world.settle()
    world.cluster.fleet.abandon("n1")
    await world.settle()
    expect(world.claim(address).status).toMatchObject({
      phase: "Pending",
      node: "n1",
      conditions: [{ reason: "NodeLost" }]
    })
    const next = await restarted(world, async (fleet, one) => {
      fleet.report(said("n1"))
      await placeOn(fleet, one.cluster.fleetView, name, "n1")
    })
    await next.start()
    expect(next.claim(address).status).toMatchObject({
      phase: "Pending",
      node: "n1",
      conditions: [{ reason: "NodeLost" }]
    })
  })

  it("does not take what a node said of the claim before for a word on this one, as it knows that node by a placement only", async () => {
    const world = await started()
    // Of 10.0.0.1 another Service's claim was on n1, which is lost since; 10.0.0.2 is pinned to n1.
    await claim(world, "10.0.0.2")
    const next = await restarted(world, async (fleet, one) => {
      fleet.report(said("n1"))
      await placeOn(fleet, one.cluster.fleetView, "10-0-0-2", "n1")
      await placeOn(fleet, one.cluster.fleetView, name, "n2")
    })
    await next.start()
    expect(next.claim(address).status).toMatchObject({
      phase: "Pending",
      conditions: [{ reason: "WaitingForNode" }]
    })
    expect(next.events("services/default/web")).toEqual([])
  })
})

describe("a node that was given up and is back, its runtime being the same", () => {
  it("has what it has: the status says so at once", async () => {
    const world = await started()
    const { fleet } = world.cluster
    fleet.inventory("n1", [])
    await placeOn(fleet, world.cluster.fleetView, name, "n1")
    fleet.report(said("n1"))
    await world.settle()
    fleet.abandon("n1")
    await world.settle()
    expect(world.claim(address).status).toMatchObject({
      phase: "Pending",
      conditions: [{ reason: "NodeLost" }]
    })
    fleet.join("n1", [testLink()])
    await world.settle()
    expect(world.claim(address).status).toMatchObject({ phase: "Bound", node: "n1" })
  })
})

describe("a claim", () => {
  it("a lost node's word on the claim before is none on this one, though this one has come by its placement", async () => {
    const world = await started()
    const { fleet } = world.cluster
    await placeOn(fleet, world.cluster.fleetView, name, "n1")
    fleet.report(said("n1"))
    await world.settle()
    fleet.lose("n1")
    // Before assign-on-claim came to the deletion: it finds the next claim, and that it is placed.
    await run(world.cluster.delete(IpClaim, { namespace: "", name }))
    await world.service("other")
    await claim(world, address, ["other"])
    await world.settle()
    expect(world.claim(address).status).toMatchObject({ phase: "Pending" })
    expect(world.events("services/default/other")).toEqual([])
  })

  it("says of a claim that no node may have that it is placed nowhere, once there are nodes", async () => {
    const world = new World([recorder])
    await claim(world, address, [], { nodeName: "n9" })
    await world.settle()
    world.cluster.fleet.join("n1")
    world.cluster.fleet.inventory("n1", [])
    await world.settle()
    expect(world.claim(address).status).toMatchObject({ phase: "Pending" })
  })
})
