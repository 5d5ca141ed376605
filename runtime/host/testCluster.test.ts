import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Retry } from "../Disposition.ts"
import { defineFunction } from "../Function.ts"
import { defineKind, type KubeObject, Metadata } from "../Kind.ts"
import { Kube } from "../Kube.ts"
import { patch, read } from "../Needs.ts"
import { every } from "../Trigger.ts"
import { TestCluster } from "./testCluster.ts"
import { at, Thing } from "./thing.fixture.ts"

const body = (name: string, colour = "red") => ({
  metadata: { namespace: "default", name },
  spec: { colour }
})
const run = <A>(effect: Effect.Effect<A, unknown>) => Effect.runPromise(effect)

/** Paints every thing white. */
const whiten = defineFunction({
  name: "whiten-on-change",
  on: [Thing.changed],
  when: (thing) => thing.spec.colour !== "white",
  needs: [read(Thing), patch(Thing)],
  handle: Effect.fnUntraced(function* (thing: Thing) {
    const kube = yield* Kube
    const { uid, resourceVersion } = thing.metadata
    const ref = { namespace: "default", name: thing.metadata.name }
    const painted = yield* kube.patch(Thing, ref, { uid, resourceVersion }, { spec: { colour: "white" } })
    yield* kube.note(Thing, painted, { type: "Normal", reason: "Painted", message: "white" })
  })
})
/** Notes what it was woken for. */
const watching = (on: Parameters<typeof defineFunction<any, never, never>>[0]["on"]) =>
  defineFunction({ name: "watch-on-event", on, needs: [read(Thing)], handle: () => Effect.succeed("seen") })

describe("a test cluster", () => {
  it("runs what a change has woken, and what that wakes, until nothing is left", async () => {
    const cluster = new TestCluster([whiten])
    await run(cluster.create(Thing, body("a")))
    expect(cluster.runs).toEqual([])
    await run(cluster.settle())
    expect(cluster.now(Thing, at("a"))?.spec.colour).toBe("white")
    expect(cluster.runs.map(({ ended }) => ended._tag)).toEqual(["Done", "GuardSaidNo"])
    expect(cluster.notes).toMatchObject([{ object: "things.test.example/default/a", reason: "Painted" }])
  })

  it("fails a handler that changes what it is given, which is every function's", async () => {
    const spoil = defineFunction({
      name: "spoil-on-change",
      on: [Thing.changed],
      needs: [read(Thing)],
      handle: (thing: Thing) =>
        Effect.sync(() => {
          const { spec } = thing as { spec: { colour: string } }
          spec.colour = "black"
        })
    })
    const cluster = new TestCluster([spoil])
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    expect(cluster.now(Thing, at("a"))?.spec.colour).toBe("red")
    expect(cluster.runs.at(-1)?.ended).toMatchObject({
      cause: expect.stringContaining("Cannot assign to read only property 'colour'")
    })
  })

  it("tells of one Event once", async () => {
    const cluster = new TestCluster([whiten])
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    await run(cluster.patch(Thing, at("a"), { spec: { colour: "blue" } }))
    await run(cluster.settle())
    expect(cluster.notes).toHaveLength(1)
  })

  it("keeps a stale view until it catches up", async () => {
    const cluster = new TestCluster([whiten])
    cluster.goStale()
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    expect([cluster.runs.length, cluster.now(Thing, at("a"))?.spec.colour]).toEqual([0, "red"])
    cluster.catchUp()
    await run(cluster.settle())
    expect(cluster.now(Thing, at("a"))?.spec.colour).toBe("white")
  })

  it("lets one of two hosts on one store lose", async () => {
    const first = new TestCluster([whiten])
    await run(first.create(Thing, body("a")))
    const second = new TestCluster([whiten], { api: first.api })
    second.wakeAll()
    second.goStale()
    await run(first.settle())
    await run(second.settle())
    expect(second.runs.map(({ ended }) => ended._tag)).toEqual(["Again", "GuardSaidNo"])
  })

  it("wakes by changes of the spec alone where a trigger says so, and for deleted objects by key", async () => {
    const cluster = new TestCluster([watching([Thing.specChanged as never])])
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    await run(cluster.patch(Thing, at("a"), { metadata: { labels: { a: "1" } } }))
    await run(cluster.settle())
    expect(cluster.runs).toHaveLength(1)
    await run(cluster.patch(Thing, at("a"), { spec: { colour: "blue" } }))
    await run(cluster.settle())
    expect(cluster.runs).toHaveLength(2)
    const keyed = new TestCluster([watching([Thing.deleted as never])], { api: cluster.api })
    await run(keyed.delete(Thing, at("a")))
    await run(keyed.settle())
    expect(keyed.runs.map(({ ended }) => ended._tag)).toEqual(["Done"])
  })

  it("wakes by any change of a kind without generations, as its spec cannot be told apart", async () => {
    const Plain = defineKind<KubeObject>({
      group: "",
      version: "v1",
      kind: "ConfigMap",
      plural: "configmaps",
      namespaced: true,
      schema: Schema.Struct({ metadata: Metadata })
    })
    const watcher = defineFunction({
      name: "watch-on-event",
      on: [Plain.specChanged],
      needs: [read(Plain)],
      handle: () => Effect.succeed("seen")
    })
    const cluster = new TestCluster([watcher])
    await run(cluster.create(Plain, { metadata: at("a"), data: { colour: "red" } }))
    await run(cluster.settle())
    await run(cluster.patch(Plain, at("a"), { data: { colour: "blue" } }))
    await run(cluster.settle())
    expect(cluster.runs).toHaveLength(2)
  })

  it("runs timers when it is told to", async () => {
    const times: Array<number> = []
    const timer = defineFunction({
      name: "watch-on-time",
      on: [every("1 minute")],
      needs: [],
      handle: ({ at: time }) => Effect.sync(() => void times.push(time))
    })
    const cluster = new TestCluster([timer])
    cluster.tick(60_000)
    await run(cluster.settle())
    expect(times).toEqual([60_000])
  })

  it("gives up what fails ten times", async () => {
    const disposed = { _tag: "Failed", message: "no", disposition: Retry }
    const failing = defineFunction({
      name: "fail-on-change",
      on: [Thing.changed],
      needs: [read(Thing)],
      handle: () => Effect.fail(disposed)
    })
    const cluster = new TestCluster([failing])
    await run(cluster.create(Thing, body("a")))
    await run(cluster.settle())
    expect(cluster.runs).toHaveLength(10)
  })
})
