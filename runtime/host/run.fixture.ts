import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { FunctionDefinition } from "../Function.ts"
import type { EventNote } from "../Kube.ts"
import { MemoryApi } from "../kube/memory.ts"
import { read } from "../Needs.ts"
import type { SpanRecord } from "../trace/span.ts"
import { type RunServices, runOnce, type Target } from "./run.ts"
import { at, Thing } from "./thing.fixture.ts"
import type { Tries } from "./work.ts"
import { WorldView } from "./worldView.ts"

/** One process with one thing in its view. */
export const bench = async () => {
  const api = new MemoryApi()
  const view = new WorldView([Thing])
  const spans: Array<SpanRecord> = []
  /** Versions that were put down as the work of a run. */
  const caused: Array<string> = []
  const notes: Array<EventNote & { readonly by: string }> = []
  const body = { metadata: { namespace: "default", name: "a" }, spec: { colour: "red" } }
  view.applyWrite(Thing, await Effect.runPromise(api.create(Thing, "default", body)))
  const services: RunServices = {
    api,
    view,
    note: (_kind, _object, by, note) => notes.push({ ...note, by }),
    wake: async () => undefined,
    record: (span) => spans.push(span),
    caused: (_uid, version) => caused.push(version),
    causeOf: () => undefined,
    host: "here",
    context: Context.empty() as Context.Context<never>
  }
  const run = (fn: FunctionDefinition<any>, tries: Partial<Tries> = {}, target: Target = object()) =>
    runOnce(fn, target, { attempt: 1, faults: 0, ...tries }, undefined, services)
  return { run, api, view, spans, caused, notes, services }
}

export const object = (name = "a", gives: "object" | "key" = "object"): Target => ({
  _tag: "Object",
  kind: Thing,
  ref: at(name),
  gives
})
export const needs = [read(Thing)]
