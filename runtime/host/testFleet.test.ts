import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Fleet, PlacementLost } from "../Fleet.ts"
import { defineBatchFunction, type Tell } from "../Function.ts"
import { refOf } from "../Kind.ts"
import { place, read, seeFleet } from "../Needs.ts"
import { fleetChanged, type Keyed } from "../Trigger.ts"
import { TestCluster } from "./testCluster.ts"
import { Thing } from "./thing.fixture.ts"

const body = (name: string) => ({ metadata: { namespace: "default", name }, spec: { colour: "red" } })
const run = <A>(effect: Effect.Effect<A, unknown>) => Effect.runPromise(effect)
const ref = (name: string) => ({ namespace: "default", name })

/** Places every thing on the first node that lives, with the second as its standby. */
const settle = defineBatchFunction({
  name: "settle-on-change",
  on: [
    Thing.touched,
    fleetChanged(["joined", "abandoned"]).touches({
      kind: Thing,
      keys: ({ node }, view, fleet) =>
        fleet.nodes.get(node)?.state === "alive"
          ? Array.from(view.list(Thing), refOf).filter(({ name }) => !fleet.placements.has(name))
          : Array.from(fleet.heldBy(node), ref)
    })
  ],
  needs: [read(Thing), place],
  handle: Effect.fnUntraced(function* (things: ReadonlyArray<Keyed<Thing>>) {
    const fleet = yield* Fleet
    const alive = [...fleet.nodes.values()].filter(({ state }) => state === "alive")
    const [holder, standby] = alive.map(({ name }) => name)
    const wrong = things.filter(({ ref: { name } }) => fleet.placements.get(name)?.holder !== holder)
    if (holder === undefined || wrong.length === 0) return
    yield* fleet.place(
      wrong.map(({ ref: { name }, now }) => ({
        claim: name,
        address: name,
        holder: now === undefined ? undefined : holder,
        standby,
        link: undefined
      }))
    )
    return `placed ${wrong.length}`
  })
})

describe("a test cluster with a fleet", () => {
  const open = async (names: ReadonlyArray<string> = ["a", "b", "c"]) => {
    const cluster = new TestCluster([settle])
    for (const name of names) await run(cluster.create(Thing, body(name)))
    await run(cluster.settle())
    return cluster
  }
  const places = (cluster: TestCluster) =>
    Object.fromEntries(
      Array.from(cluster.fleet.placements, ([name, { holder, standby, term }]) => [
        name,
        `${holder} ${standby} ${term}`
      ])
    )

  it("hands a batch function everything that was woken, once", async () => {
    const cluster = await open()
    expect(cluster.runs).toMatchObject([{ target: "things/default/a things/default/b things/default/c" }])
    cluster.fleet.join("one")
    cluster.fleet.join("two")
    await run(cluster.settle())
    expect(places(cluster)).toEqual({ a: "one two 1", b: "one two 1", c: "one two 1" })
  })

  it("wakes by what happens to the nodes", async () => {
    const cluster = await open()
    cluster.fleet.join("one")
    cluster.fleet.join("two")
    await run(cluster.settle())
    cluster.fleet.lose("one")
    await run(cluster.settle())
    expect(places(cluster)).toMatchObject({ a: "one two 1" })
    cluster.fleet.abandon("one")
    await run(cluster.settle())
    expect(places(cluster)).toEqual({
      a: "two undefined 2",
      b: "two undefined 2",
      c: "two undefined 2"
    })
    expect([...cluster.fleetView.nodes.keys()]).toEqual(["two"])
  })

  it("lets one of two hosts lose that place at once, the claims of which are placed once", async () => {
    const first = await open()
    const second = new TestCluster([settle], { api: first.api, fleet: first.fleet })
    first.fleet.join("one")
    await Promise.all([run(first.settle()), run(second.settle())])
    const ended = [...first.runs, ...second.runs].flatMap(({ ended }) =>
      "cause" in ended ? ended.cause : []
    )
    expect(ended).toEqual([new PlacementLost({ claims: 3, detail: "others came first" }).message])
    expect(places(first)).toEqual({ a: "one undefined 1", b: "one undefined 1", c: "one undefined 1" })
  })

  it("does not let a stale view place over what it has not seen", async () => {
    const first = await open()
    const stale = new TestCluster([settle], { api: first.api, fleet: first.fleet })
    first.fleet.join("one")
    stale.goStale()
    await run(first.settle())
    stale.wakeAll()
    await run(stale.settle())
    expect(stale.runs.at(-1)?.ended).toMatchObject({ _tag: "Again" })
    stale.catchUp()
    expect(stale.fleetView.placements.size).toBe(3)
  })

  it("goes on after JetStream was wiped, with higher terms", async () => {
    const cluster = await open(["a"])
    cluster.fleet.join("one")
    await run(cluster.settle())
    cluster.fleet.wipe()
    expect(cluster.fleet.placements.size).toBe(0)
    await run(cluster.settle())
    expect(places(cluster)).toEqual({ a: "one undefined 2" })
  })

  it("tells what was decided on an object in that object's trace, and what was decided at all in the last one's, if nothing was told of it", async () => {
    const sayer = defineBatchFunction({
      name: "say-on-change",
      on: [Thing.touched],
      needs: [read(Thing)],
      handle: Effect.fnUntraced(function* (things: ReadonlyArray<Keyed<Thing>>, tell: Tell) {
        yield* tell(ref("a"), "a waits")
        yield* tell(ref("elsewhere"), "is in no batch")
        if (things.length < 4) return "1 seen"
        yield* tell(ref("d"), "d waits")
        return "4 seen"
      })
    })
    const cluster = new TestCluster([sayer])
    for (const name of ["a", "b", "c", "d"]) await run(cluster.create(Thing, body(name)))
    await run(cluster.settle())
    const told = () => cluster.spans.map(({ object, decision }) => [object, decision])
    expect(told()).toEqual([
      ["things.test.example/default/a", "a waits"],
      ["things.test.example/default/d", "d waits"]
    ])
    cluster.spans.length = 0
    await run(cluster.patch(Thing, ref("d"), { spec: { colour: "blue" } }))
    await run(cluster.settle())
    expect(told()).toEqual([["things.test.example/default/d", "1 seen"]])
  })

  it("lets nobody place who has not declared it", async () => {
    const sly = defineBatchFunction({
      name: "place-on-change",
      on: [Thing.touched],
      needs: [read(Thing), seeFleet],
      handle: () =>
        Effect.flatMap(Fleet, (fleet) =>
          fleet.place([{ claim: "a", address: "a", holder: "one", standby: undefined, link: undefined }])
        )
    })
    const cluster = new TestCluster([sly])
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    expect(cluster.runs[0]?.ended).toMatchObject({
      cause: expect.stringContaining('"place" is not in its "needs"')
    })
    expect(cluster.fleet.placements.size).toBe(0)
  })
})
