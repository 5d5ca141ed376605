import { describe, expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { all, only, run, World } from "../../test/support/world.ts"
import { IpClaim, IpNode } from "../domain/kinds.ts"
import { claimRef } from "./drifts.fixture.ts"

const name = "10-0-0-1"
/** What the sweep had mended, as `function object`, in order. */
const woken = (world: World, since: number) =>
  world.cluster.runs
    .slice(since)
    .flatMap(({ function: fn, target }) => (/^(assign|record)-on-/.test(fn) ? [`${fn} ${target}`] : []))
/** Runs the sweep alone, and answers with how many drifts it found. */
const found = async (world: World): Promise<string | undefined> => {
  const alone = world.another(only("sweep"), { fleet: world.cluster.fleet })
  alone.cluster.fleetView.followedMillis = () => world.cluster.fleet.followedMillis
  await alone.sweep()
  const [ran] = alone.cluster.runs
  return ran?.ended._tag === "Done" ? ran.ended.decision : ran?.ended._tag
}
const setStatus = (world: World, status: object) =>
  run(world.cluster.api.mergePatch(IpClaim, claimRef("10.0.0.1"), { status }, { subresource: "status" }))

/** A Service whose address is on n1. */
const bound = async () => {
  const world = new World(all)
  world.cluster.fleet.join("n1", [testLink()])
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.asking("web")
  await world.settle()
  world.cluster.fleet.report({ claim: name, address: "10.0.0.1", node: "n1", what: "bound" })
  await world.settle()
  return world
}

describe("sweep", () => {
  it("finds nothing where claims, nodes and placements agree", async () => {
    expect(await found(await bound())).toBeUndefined()
  })

  it("has an assignment without a claim taken off its node", async () => {
    const world = await bound()
    const blind = world.another(only("allocate-on-annotate"))
    await world.deleteService("web")
    await run(blind.cluster.delete(IpClaim, claimRef("10.0.0.1")))
    const late = world.another(only("sweep", "assign-on-claim"))
    expect(world.cluster.fleet.placements.has(name)).toBe(true)
    await late.sweep()
    expect(woken(late, 0)).toEqual([`assign-on-claim ipclaims/${name}`])
    expect(world.cluster.fleet.placements.has(name)).toBe(false)
  })

  it("asks the API server first whether the claim of an assignment is gone", async () => {
    const world = await bound()
    const stale = new World(only("sweep", "assign-on-claim"), { fleet: world.cluster.fleet })
    const { spec } = world.claim("10.0.0.1")
    const create = stale.cluster.create(IpClaim, { metadata: { name }, spec })
    stale.cluster.goStale()
    await run(create)
    await stale.sweep()
    expect(woken(stale, 0)).toEqual([])
  })

  it("has a claim without assignment placed", async () => {
    const world = await bound()
    world.cluster.fleet.inventory("n1", [])
    world.cluster.fleet.wipe()
    const late = world.another(only("sweep", "assign-on-claim"))
    await late.sweep()
    expect(woken(late, 0)).toContain(`assign-on-claim ipclaims/${name}`)
    expect(world.cluster.fleet.placements.get(name)?.holder).toBe("n1")
  })

  it.each<[string, (world: World) => unknown]>([
    ["no node is alive", (world) => world.cluster.fleet.abandon("n1")],
    [
      "no node may have it",
      (world) => run(world.cluster.patch(IpNode, claimRef("n1"), { spec: { unschedulable: true } }))
    ],
    ["no link fits", (world) => world.cluster.fleet.join("n1", [testLink({ defaultRoutes: [] })])],
    [
      "another machine has the address",
      (world) => setStatus(world, { phase: "Conflict", retryAt: "2999-01-01T00:00:00Z" })
    ],
    [
      "its last holder may still be heard of",
      (world) => {
        world.cluster.fleet.followedMillis = 9_000
      }
    ]
  ])("does not miss an assignment while %s", async (_, happen) => {
    const world = await bound()
    await happen(world)
    await world.another(only("record-on-join", "record-on-bind")).start()
    world.cluster.fleet.wipe()
    // With JetStream the placement is forgotten, and what is recorded of a conflict counts again.
    await happen(world)
    expect(await found(world)).toBeUndefined()
  })

  it.each<[string, object]>([
    ["names another node", { node: "n2" }],
    ["names none", { phase: null, node: null }],
    ["has a conflict that is over", { retryAt: "2020-01-01T00:00:00Z" }]
  ])("has the status of a claim recorded again that %s", async (_, status) => {
    const world = await bound()
    const before = world.claim("10.0.0.1").status
    const recorder = world.another(only("sweep", "record-on-bind"))
    await setStatus(world, status)
    await recorder.sweep()
    expect(woken(recorder, 0)).toEqual([`record-on-bind ipclaims/${name}`])
    expect(world.claim("10.0.0.1").status).toEqual(before)
  })

  it("does not take for a drift what was reported a moment ago", async () => {
    const world = await bound()
    world.cluster.fleet.report({
      claim: name,
      address: "10.0.0.1",
      node: "n1",
      what: "released",
      at: Date.now() - 1_000
    })
    expect(await found(world)).toBeUndefined()
  })

  it("finds nothing while the nodes have only just been heard of", async () => {
    const world = await bound()
    await setStatus(world, { node: "n2" })
    world.cluster.fleet.followedMillis = 2_000
    expect(await found(world)).toBeUndefined()
  })

  it("has a node recorded that has no IpNode, or whose IpNode says otherwise", async () => {
    const world = await bound()
    const recorder = world.another(only("sweep", "record-on-join"))
    recorder.cluster.goStale()
    await run(world.cluster.delete(IpNode, claimRef("n1")))
    const late = world.another(only("sweep", "record-on-join"))
    await late.sweep()
    expect(woken(late, 0)[0]).toBe("record-on-join ipnodes/n1")
    expect(late.cluster.now(IpNode, claimRef("n1"))?.status?.ready).toBe(true)
    const lie = { status: { ready: false } }
    await run(world.cluster.api.mergePatch(IpNode, claimRef("n1"), lie, { subresource: "status" }))
    expect(await found(world)).toBe("found 1 drifts")
  })

  it("deletes a claim that was bound without a Service, once its time has come", async () => {
    const world = await bound()
    const sweeper = world.another(only("sweep"))
    await world.deleteService("web")
    await run(world.cluster.patch(IpClaim, claimRef("10.0.0.1"), { spec: { services: [] } }))
    await sweeper.sweep()
    expect(world.cluster.all(IpClaim)).toEqual([])
  })

  it("leaves a claim that somebody has emptied while a Service carries its address, and has that entered again", async () => {
    const world = await bound()
    await run(world.cluster.patch(IpClaim, claimRef("10.0.0.1"), { spec: { services: [] } }))
    await world.another(only("sweep")).sweep()
    expect(world.claim("10.0.0.1").metadata.uid).toBeDefined()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.cluster.fleet.placements.has(name)).toBe(true)
  })
})
