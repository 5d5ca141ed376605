import type { JsMsg } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { expect, it } from "vitest"
import { defineFunction } from "../Function.ts"
import { defineKind, Metadata, refOf } from "../Kind.ts"
import { read } from "../Needs.ts"
import type { Wakes } from "../Trigger.ts"
import { targetKey } from "./run.ts"
import { Targets } from "./targets.ts"
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
