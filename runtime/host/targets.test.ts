import type { JsMsg } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import type { FleetEvent } from "../Fleet.ts"
import { defineFunction } from "../Function.ts"
import type { FleetState } from "../fleet/state.ts"
import { defineKind, Metadata, refOf } from "../Kind.ts"
import { read, seeFleet } from "../Needs.ts"
import { parseSubject, wakeSubject } from "../nats/names.ts"
import { fleetChanged, type Wakes } from "../Trigger.ts"
import { describeTarget, type Target, targetKey } from "./run.ts"
import { type Faulty, Targets } from "./targets.ts"
import { WorldView } from "./worldView.ts"

const schema = Schema.Struct({ metadata: Metadata })
const Pool = defineKind({
  group: "test.ext",
  version: "v1",
  kind: "Pool",
  plural: "pools",
  namespaced: false,
  schema
})
const allPools: Wakes<typeof schema.Type, typeof schema.Type> = {
  kind: Pool,
  keys: (_event, view) => Array.from(view.list(Pool), refOf)
}
const judge = defineFunction({
  name: "judge-on-change",
  on: [Pool.specChanged, Pool.specChanged.wakes(allPools)],
  needs: [read(Pool)],
  handle: () => Effect.void
})

const modified = (name: string, generation: number): JsMsg => {
  const headers = new Map([
    ["ce-uid", `uid-${name}`],
    ["ce-generation", `${generation}`]
  ])
  return { subject: `kube.test_ext.pools._.${name}.modified`, seq: 1, headers } as unknown as JsMsg
}

const open = () => {
  const view = new WorldView([Pool])
  for (const name of ["a", "b"]) {
    const metadata = {
      name,
      uid: `uid-${name}`,
      resourceVersion: "1",
      creationTimestamp: "2026-01-01T00:00:00Z"
    }
    view.applyEvent(Pool, { namespace: "", name }, "added", metadata.uid, { metadata })
  }
  const targets = new Targets(judge, view)
  return (message: JsMsg): ReadonlySet<string> => {
    const received = targets.read(message)
    return new Set((received._tag === "Event" ? targets.ofEvent(received.event, message) : []).map(targetKey))
  }
}

it("wakes by every trigger that looks at one change of a spec", () => {
  const wake = open()
  expect(wake(modified("a", 1))).toEqual(new Set(["pools/a", "pools/b"]))
  expect(wake(modified("a", 2))).toEqual(new Set(["pools/a", "pools/b"]))
})

it("wakes nobody by a change of status alone", () => {
  const wake = open()
  wake(modified("a", 1))
  expect(wake(modified("a", 1))).toEqual(new Set())
})

describe("a mapping that throws", () => {
  const Thing = defineKind({
    group: "test.ext",
    version: "v1",
    kind: "Thing",
    plural: "things",
    namespaced: false,
    schema
  })
  const threw = new Error("a fault of the function's own")
  const sweep = defineFunction({
    name: "sweep-on-change",
    on: [
      Thing.changed.wakes({
        kind: Pool,
        keys: ({ ref }) => {
          if (ref.name === "bad") throw threw
          return [{ namespace: "", name: `pool-of-${ref.name}` }]
        }
      }),
      Thing.changed.wakes({ kind: Pool, keys: () => [{ namespace: "", name: "spare" }] })
    ],
    needs: [read(Thing, Pool)],
    handle: () => Effect.void
  })
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  const keys = (found: ReadonlyArray<Target>) => new Set(found.map(targetKey))
  const bench = () => {
    const view = new WorldView([Thing, Pool])
    for (const name of ["bad", "good"]) {
      const metadata = { name, uid: name, resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" }
      view.applyEvent(Thing, { namespace: "", name }, "added", name, { metadata })
    }
    const faults: Array<ReadonlyArray<unknown>> = []
    const faulty: Faulty = (object, ...more) => faults.push([object && describeTarget(object), ...more])
    return { targets: new Targets(sweep, view, faulty), faults }
  }
  const event = (name: string) => {
    const message = {
      subject: `kube.test_ext.things._.${name}.modified`,
      headers: new Map([["traceparent", traceparent]])
    } as unknown as JsMsg
    return [parseSubject(message.subject)!, message] as const
  }

  it("is told of with its object and trace, and keeps no other trigger or object from waking theirs", () => {
    const { targets, faults } = bench()
    expect(keys(targets.ofEvent(...event("bad")))).toEqual(new Set(["pools/spare"]))
    expect(faults).toEqual([["things.test.ext/bad", threw, traceparent]])
    expect(keys(targets.ofEvent(...event("good")))).toEqual(new Set(["pools/pool-of-good", "pools/spare"]))
    expect(faults).toHaveLength(1)
  })

  it("keeps no other object out when everything is woken", () => {
    const { targets, faults } = bench()
    expect(keys(targets.all())).toEqual(new Set(["pools/pool-of-good", "pools/spare"]))
    expect(faults).toEqual([["things.test.ext/bad", threw, undefined]])
  })

  it("is asked again when its object is retried", () => {
    const { targets, faults } = bench()
    const wake = (name: string) => {
      const subject = wakeSubject(sweep.name, Thing, { namespace: "", name })
      const received = targets.read({ subject } as JsMsg)
      return keys(received._tag === "Direct" ? received.targets : [])
    }
    expect(wake("good")).toEqual(new Set(["pools/pool-of-good", "pools/spare"]))
    expect(faults).toEqual([])
    wake("bad")
    expect(faults).toEqual([["things.test.ext/bad", threw, undefined]])
  })

  it("for what happened in the fleet is told of, and keeps no other trigger from waking its objects", () => {
    const follow = defineFunction({
      name: "follow-on-join",
      on: [
        fleetChanged(["joined"]).wakes({
          kind: Pool,
          keys: () => {
            throw threw
          }
        }),
        fleetChanged(["joined"]).wakes({ kind: Pool, keys: () => [{ namespace: "", name: "spare" }] })
      ],
      needs: [read(Pool), seeFleet],
      handle: () => Effect.void
    })
    const faults: Array<ReadonlyArray<unknown>> = []
    const targets = new Targets(follow, new WorldView([Pool]), (...fault) => faults.push(fault))
    const joined: FleetEvent = { what: "joined", node: "n1" }
    expect(keys(targets.ofFleet(joined, {} as FleetState))).toEqual(new Set(["pools/spare"]))
    expect(faults).toEqual([[undefined, threw, undefined]])
  })

  it.each<[string, () => unknown, string]>([
    ["a promise", async () => [], "an iterable of refs"],
    ["an asynchronous generator", async function* () {}, "an iterable of refs"],
    ["nothing", () => undefined, "an iterable of refs"],
    ["a number", () => 5, "an iterable of refs"],
    ["names alone", () => ["a"], "{ namespace, name }"],
    ["nothing in a list", () => [undefined], "{ namespace, name }"],
    [
      "no end of them",
      function* () {
        for (;;) yield { namespace: "", name: "a" }
      },
      "more than 500000 objects"
    ]
  ])("is one that gives %s", (_, keys, why) => {
    const faults: Array<unknown> = []
    const fn = defineFunction({
      name: "odd-on-change",
      on: [Pool.changed.wakes({ kind: Pool, keys: keys as never })],
      needs: [read(Pool)],
      handle: () => Effect.void
    })
    const targets = new Targets(fn, new WorldView([Pool]), (_object, thrown) => faults.push(thrown))
    const received = targets.read(modified("a", 1))
    expect(received._tag === "Event" && targets.ofEvent(received.event, modified("a", 1))).toEqual([])
    expect(faults).toEqual([expect.objectContaining({ message: expect.stringContaining(why) })])
  })
})
