import type { JetStreamClient, JsMsg } from "@nats-io/jetstream"
import { type KindId, refKey, resourceName } from "../Kind.ts"
import { objectSubjects, parseSubject, resourceToken } from "../nats/names.ts"
import { readAll } from "../nats/readAll.ts"
import { traceSubject } from "./recorder.ts"
import type { SpanRecord } from "./span.ts"
import type { EventRecord } from "./story.ts"

/** An object, as the command line names it. */
export interface Wanted {
  readonly kind: KindId
  readonly ref: { readonly namespace: string; readonly name: string }
}

/**
 * Gathers what happened to an object, and to what its functions touched: the spans that ran for it, the traces that
 * these belong to, and the events of every object in them.
 */
export const collect = async (
  js: JetStreamClient,
  kinds: ReadonlyArray<KindId>,
  wanted: Wanted
): Promise<{ readonly events: ReadonlyArray<EventRecord>; readonly spans: ReadonlyArray<SpanRecord> }> => {
  const byName = new Map(kinds.map((kind) => [resourceName(kind), kind]))
  const byToken = new Map(kinds.map((kind) => [resourceToken(kind), kind]))
  const spans = new Map<string, SpanRecord>()
  const take = (message: JsMsg) => {
    for (const span of message.json<ReadonlyArray<SpanRecord>>())
      spans.set(`${span.spanId} ${span.attempt}`, span)
  }
  const path = `${resourceName(wanted.kind)}/${refKey(wanted.ref)}`
  await readAll(js, { stream: "TRACE", filters: [traceSubject("*", path)] }, take)
  const traces = new Set([...spans.values()].map((span) => span.traceId))
  if (traces.size > 0) {
    await readAll(
      js,
      { stream: "TRACE", filters: [...traces].slice(-100).map((id) => traceSubject(id, "*")) },
      take
    )
  }
  const objects = new Set([path])
  for (const span of spans.values()) {
    // Timers run for no object, but write to some.
    for (const write of span.writes) objects.add(write.object)
    if (span.object !== "tick") objects.add(span.object)
  }
  const filters: Array<string> = []
  for (const object of objects) {
    const [resource, ...rest] = object.split("/")
    const kind = byName.get(resource!)
    if (kind === undefined || filters.length >= 200) continue
    const [first, second] = rest
    const ref = second === undefined ? { namespace: "", name: first! } : { namespace: first!, name: second }
    filters.push(objectSubjects(kind, ref))
  }
  const events: Array<EventRecord> = []
  await readAll(js, { stream: "KUBE", filters, headersOnly: true }, (message) => {
    const parsed = parseSubject(message.subject)
    const kind = parsed === undefined ? undefined : byToken.get(parsed.resource)
    if (parsed === undefined || kind === undefined) return
    const header = (name: string) => message.headers?.get(name) ?? ""
    events.push({
      sequence: message.seq,
      object: `${resourceName(kind)}/${refKey(parsed.ref)}`,
      verb: parsed.verb,
      uid: header("ce-uid"),
      resourceVersion: parsed.verb === "deleted" ? "deleted" : header("ce-resourceversion"),
      at: Date.parse(header("ce-time")),
      synthesized: header("ce-synthesized") === "true",
      ...(header("ce-manager") === ""
        ? {}
        : {
            by: {
              manager: header("ce-manager"),
              operation: header("ce-operation"),
              at: header("ce-changedat")
            }
          })
    })
  })
  // What other objects went through besides is their own story.
  const inTraces = new Set<string>()
  for (const span of spans.values()) {
    for (const write of span.writes) inTraces.add(`${write.uid}.${write.resourceVersion}`)
  }
  const woke = new Set([...spans.values()].map((span) => span.event?.sequence))
  return {
    spans: [...spans.values()],
    events: events.filter(
      (event) =>
        event.object === path ||
        woke.has(event.sequence) ||
        inTraces.has(`${event.uid}.${event.resourceVersion}`)
    )
  }
}
