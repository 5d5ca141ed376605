import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Conflict, type FunctionDefinition, type KubeFailure, Unavailable } from "#runtime"
import { testLink } from "#testkit"
import { counting, failing } from "../../test/support/faults.ts"
import { run, World } from "../../test/support/world.ts"
import { addressOf, claimName, hostCidr } from "../domain/addresses.ts"
import { timeOf } from "../domain/claim-state.ts"
import { entryOf } from "../domain/holding.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { placeOn } from "./fleet.fixture.ts"
import { recordOnBind } from "./function.ts"

const recorder = recordOnBind(defaultSettings)
const address = "10.0.0.1"
const name = claimName(address)
const foreign = "02:99:00:00:00:07"

const claim = (world: World, of: string, services: ReadonlyArray<string> = []) =>
  run(
    world.cluster.create(IpClaim, {
      metadata: { name: claimName(of) },
      spec: {
        cidr: hostCidr(of),
        services: services.map((one) => entryOf(world.now(one), "allocated", undefined))
      }
    })
  )
/** Nodes n1 and n2, and a claim of the Service `web`. */
const started = async (options: object = {}) => {
  const world = new World([recorder], options)
  for (const node of ["n1", "n2"]) world.cluster.fleet.join(node, [testLink()])
  await world.service("web")
  await claim(world, address, ["web"])
  return world
}
const report = (
  world: World,
  node: string,
  what: "bound" | "taken" | "released" | "conflict",
  more: object = {}
) => world.cluster.fleet.report({ claim: name, address, node, what, ...more })
const status = (world: World) => world.claim(address).status

describe("record-on-bind", () => {
  it("says of a new claim that it waits, then which node has it, on which link, with which MAC and since when", async () => {
    const world = await started()
    await world.settle()
    expect(status(world)).toMatchObject({
      phase: "Pending",
      conditions: [{ type: "Bound", status: "False" }]
    })
    await placeOn(world.cluster.fleet, world.cluster.fleetView, name, "n1")
    report(world, "n1", "bound", { at: Date.UTC(2026, 0, 1), mac: "02:00:00:00:00:0a" })
    await world.settle()
    expect(status(world)).toMatchObject({
      phase: "Bound",
      node: "n1",
      link: "eth0",
      mac: "02:00:00:00:00:0a",
      boundAt: "2026-01-01T00:00:00Z",
      conditions: [{ type: "Bound", status: "True", reason: "OnNode" }]
    })
  })

  it("makes one write of everything that was reported of a claim meanwhile", async () => {
    const counts = new Map<string, number>()
    const world = await started({ through: counting(counts) })
    await placeOn(world.cluster.fleet, world.cluster.fleetView, name, "n1")
    report(world, "n1", "bound")
    report(world, "n1", "released")
    report(world, "n2", "taken")
    await world.settle()
    expect(status(world)?.node).toBe("n2")
    expect([...counts]).toEqual([["mergePatch IpClaim", 1]])
  })

  it("tells the Service once which node has its address, and again when another one has it", async () => {
    const world = await started()
    report(world, "n1", "bound", { mac: "02:00:00:00:00:0a" })
    await world.settle()
    await world.start()
    report(world, "n1", "bound", { term: 4, mac: "02:00:00:00:00:0a" })
    await world.settle()
    expect(world.events("services/default/web")).toEqual([
      "nodeAssigned: 10.0.0.1 is on n1 (eth0, 02:00:00:00:00:0a)"
    ])
    report(world, "n2", "taken", { term: 4, mac: "02:00:00:00:00:0b" })
    await world.settle()
    expect(world.events("services/default/web").at(-1)).toBe(
      "nodeAssigned: 10.0.0.1 is on n2 (eth0, 02:00:00:00:00:0b)"
    )
    expect(world.cluster.notes.map(({ type }) => type)).toEqual(["Normal", "Normal"])
  })

  it("tells neither again after a restart", async () => {
    const world = await started()
    report(world, "n1", "bound")
    await world.settle()
    const restarted = world.another([recorder])
    const before = world.state
    await restarted.start()
    expect(restarted.cluster.notes).toEqual([])
    expect(world.state).toBe(before)
  })

  it("warns Service and claim of another machine, once for as long as it answers", async () => {
    const world = await started()
    const at = Date.now()
    report(world, "n1", "conflict", { foreign, at })
    await world.settle()
    report(world, "n2", "conflict", { foreign, term: 2, at: at + 60_000 })
    await world.settle()
    const warning = `AddressConflict: another machine (${foreign}) answers for 10.0.0.1`
    expect(world.events("services/default/web")).toEqual([warning])
    expect(world.events(`ipclaims.ipcontroller.ext/${name}`)).toEqual([warning])
    expect(status(world)).toMatchObject({ phase: "Conflict", retryAt: timeOf(at + 120_000) })
    report(world, "n2", "bound", { term: 3 })
    await world.settle()
    expect(status(world)).toMatchObject({ phase: "Bound", node: "n2" })
    expect(status(world)?.retryAt).toBeUndefined()
  })

  it("waits as long as the administrator says before a disputed address is tried again", async () => {
    const world = new World([recordOnBind({ ...defaultSettings, conflictRetryMillis: 5_000 })])
    await claim(world, address)
    const at = Date.now()
    report(world, "n1", "conflict", { foreign, at })
    await world.settle()
    expect(status(world)?.retryAt).toBe(timeOf(at + 5_000))
  })

  it("does not hold a conflict of long ago against a claim that was made since, nor one of before it was placed", async () => {
    const world = await started()
    report(world, "n1", "conflict", { foreign, at: Date.now() - 3_600_000 })
    await world.settle()
    expect(status(world)?.phase).not.toBe("Conflict")
    report(world, "n1", "conflict", { foreign, term: 3, at: Date.now() })
    await placeOn(world.cluster.fleet, world.cluster.fleetView, name, "n2")
    const { term } = world.cluster.fleet.placements.get(name)!
    expect(term).toBeGreaterThan(3)
    await world.settle()
    expect(status(world)).toMatchObject({ phase: "Pending" })
    expect(world.events("services/default/web")).toEqual([])
  })

  it("does not take a lost node's word on the claim before for one on this claim", async () => {
    const world = await started()
    const { fleet } = world.cluster
    const place = (node: string | undefined) => placeOn(fleet, world.cluster.fleetView, name, node)
    await place("n1")
    report(world, "n1", "bound")
    fleet.lose("n1")
    await run(world.cluster.delete(IpClaim, { namespace: "", name }))
    await place(undefined)
    await world.service("other")
    await claim(world, address, ["other"])
    await world.settle()
    expect(status(world)).toMatchObject({ phase: "Pending", conditions: [{ reason: "NotPlaced" }] })
    expect(world.events("services/default/other")).toEqual([])
    await place("n2")
    await world.settle()
    expect(status(world)).toMatchObject({ phase: "Pending", conditions: [{ reason: "WaitingForNode" }] })
    report(world, "n2", "bound")
    await world.settle()
    expect(status(world)).toMatchObject({ phase: "Bound", node: "n2" })
  })

  it("writes nothing where there are no nodes: addresses may be announced by other means", async () => {
    const world = new World([recordOnBind(defaultSettings)])
    await claim(world, address)
    await world.settle()
    expect(status(world)).toBeUndefined()
  })

  it("does not move anything when JetStream is wiped under living nodes", async () => {
    const world = await started()
    report(world, "n1", "bound")
    await world.settle()
    const before = world.state
    world.cluster.fleet.wipe()
    await world.settle()
    world.cluster.fleet.inventory("n1", [{ claim: name, address, term: 1 }])
    world.cluster.fleet.inventory("n2", [])
    await world.settle()
    expect(world.state).toBe(before)
  })

  it("says that an address is lost with its node when nobody took it over", async () => {
    const world = await started()
    report(world, "n1", "bound")
    await world.settle()
    world.cluster.fleet.abandon("n1")
    await world.settle()
    expect(status(world)).toMatchObject({
      phase: "Pending",
      node: "n1",
      conditions: [{ reason: "NodeLost" }]
    })
  })

  it("records a node with many addresses in a few batches, so many writes at once and no more", async () => {
    let [running, most, written] = [0, 0, 0]
    const world = new World([recorder], {
      through: (api) =>
        ({
          ...Object.fromEntries(
            (["get", "create", "apply", "remove"] as const).map((verb) => [
              verb,
              (api[verb] as any).bind(api)
            ])
          ),
          mergePatch: (...args: Parameters<typeof api.mergePatch>) =>
            Effect.suspend(() => {
              most = Math.max(most, ++running)
              written++
              return Effect.andThen(
                Effect.promise(() => Promise.resolve()),
                api.mergePatch(...args)
              )
            }).pipe(Effect.ensuring(Effect.sync(() => running--)))
        }) as never
    })
    world.cluster.fleet.join("n1")
    const all = Array.from({ length: 2_500 }, (_, index) => addressOf(10 * 2 ** 24 + 1 + index))
    for (const one of all) await claim(world, one)
    for (const one of all) {
      world.cluster.fleet.report({ claim: claimName(one), address: one, node: "n1", what: "taken" })
    }
    await world.settle()
    expect(world.cluster.runs).toHaveLength(3)
    expect([most, written]).toEqual([32, 2_500])
    const others = world.cluster.all(IpClaim).filter(({ status: now }) => now?.node !== "n1")
    expect(others).toEqual([])
  })

  it("has nothing to do for a claim that is gone", async () => {
    const world = await started()
    report(world, "n1", "bound")
    await run(world.cluster.delete(IpClaim, { namespace: "", name }))
    await world.settle()
    expect(world.cluster.runs.map(({ ended }) => ended)).toEqual([{ _tag: "Done", decision: undefined }])
  })

  it("loses against whoever changed the claim meanwhile, and records on what that made of it", async () => {
    const world = await started()
    await world.settle()
    const stale = world.another([recorder])
    stale.cluster.goStale()
    const patch = { metadata: { labels: { seen: "yes" } } }
    await run(world.cluster.patch(IpClaim, { namespace: "", name }, patch))
    report(world, "n1", "bound")
    stale.cluster.fleetView.reported({ ...world.cluster.fleetView.reports(name).get("n1")! })
    await stale.settle()
    expect(stale.ended("record-on-bind")).toEqual(["Again", "Done"])
    expect(status(world)?.node).toBe("n1")
    await world.settle()
    expect(world.troubles).toEqual([])
  })

  it.each<[string, KubeFailure]>([
    ["the API server is away", new Unavailable({ operation: "", detail: "" })],
    ["the claim was changed", new Conflict({ operation: "", detail: "" })]
  ])("tries again when %s, and the others of the batch are recorded", async (_, failure) => {
    const failures: Array<KubeFailure> = []
    const world = await started({ through: failing("mergePatch IpClaim", failures) })
    await claim(world, "10.0.0.2")
    failures.push(failure)
    await world.settle()
    expect(world.ended("record-on-bind")).toEqual(["Again", "Done"])
    expect([status(world)?.phase, world.claim("10.0.0.2").status?.phase]).toEqual(["Pending", "Pending"])
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof recorder extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
