import type { JetStreamClient, JetStreamManager, JsMsg, StoredMsg } from "@nats-io/jetstream"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import { objectSubjects, parseSubject, resourceToken } from "../nats/names.ts"
import { readAll } from "../nats/readAll.ts"
import { readLog } from "../nats/readLog.ts"
import { traceSubject } from "./recorder.ts"
import { hasMade, type SpanRecord } from "./span.ts"
import type { EventRecord } from "./story.ts"
import { assignmentPath, isOnNode, placedBy } from "./wire.ts"

/** An object, as the command line names it. */
export interface Wanted {
  readonly kind: KindId
  readonly ref: Ref
}

/** Filters of one read; the server takes many more, but each is looked up. */
const filtersAtOnce = 100
/** Runs of one story. What an object went through in a day may be more than anybody reads. */
const maxSpans = 2_000

const stateOf = (state: { readonly uid: string; readonly resourceVersion: string }): string =>
  `${state.uid}.${state.resourceVersion}`

/**
 * Gathers what happened to an object, and what followed from it: the runs for it, the events of their writes, the runs
 * that these events woke (on whatever host: the event's sequence joins them), and so on; for claims that were placed,
 * what the nodes did on the wire, and what was done because of their words.
 */
export const collect = async (
  js: JetStreamClient,
  jsm: JetStreamManager,
  kinds: ReadonlyArray<KindId>,
  wanted: Wanted
): Promise<{ readonly events: ReadonlyArray<EventRecord>; readonly spans: ReadonlyArray<SpanRecord> }> => {
  const path = `${resourceName(wanted.kind)}/${refKey(wanted.ref)}`
  const spans = new Map<string, SpanRecord>()
  const events = new Map<number, EventRecord>()
  const read = { objects: new Set<string>(), sequences: new Set<number>(), placed: new Set<string>() }
  const readSpans = (filters: ReadonlyArray<string>, isWanted: (span: SpanRecord) => boolean = () => true) =>
    readInParts(js, filters, (message) => {
      for (const span of message.json<ReadonlyArray<SpanRecord>>()) {
        if (isWanted(span)) spans.set(`${span.spanId} ${span.attempt}`, span)
      }
    })
  const readTraces = (ids: ReadonlySet<string>) =>
    readSpans([...ids].slice(-filtersAtOnce).map((id) => traceSubject(id, "*", "*")))
  /** What followed on the nodes, and from there: their words are in no log, so object and time join them. */
  const readPlaced = async (): Promise<void> => {
    const unread = placedBy([...spans.values()]).filter(({ claim }) => !read.placed.has(claim))
    for (const { claim, objects, isIn } of unread) {
      read.placed.add(claim)
      const known = new Set(spans.values().map(({ traceId }) => traceId))
      const filters = [assignmentPath(claim), ...objects].map((object) =>
        traceSubject("*", object, object === assignmentPath(claim) ? "*" : 0)
      )
      await readSpans(filters, ({ traceId, start }) => known.has(traceId) || isIn(start))
    }
  }

  await readSpans([traceSubject("*", path, "*")])
  await readTraces(new Set([...spans.values()].map(({ traceId }) => traceId)))
  for (;;) {
    await readPlaced()
    const objects = new Set([path])
    const written = new Set<string>()
    const woke = new Set<number>()
    for (const span of spans.values()) {
      const { object, writes, event } = span
      if (object !== "tick") objects.add(object)
      if (event !== undefined && !isOnNode(span)) woke.add(event.sequence)
      for (const write of writes) {
        // Timers run for no object, but write to some.
        objects.add(write.object)
        if (hasMade(write)) written.add(stateOf(write))
      }
    }
    const unread = [...objects].filter((object) => !read.objects.has(object))
    for (const object of unread) read.objects.add(object)
    const filters = unread.map((object) => subjectsOf(kinds, object)).filter((filter) => filter !== undefined)
    await readLog(jsm, filters, (message) => {
      const event = eventOf(kinds, message)
      if (event !== undefined) events.set(event.sequence, event)
    })
    // What other objects went through besides is their own story.
    const told = [...events.values()].filter(
      (event) => event.object === path || woke.has(event.sequence) || written.has(stateOf(event))
    )
    const followed = told.filter(({ sequence }) => !read.sequences.has(sequence))
    if (followed.length === 0 || spans.size > maxSpans) return { spans: [...spans.values()], events: told }
    for (const { sequence } of followed) read.sequences.add(sequence)
    // Sequences of `assignments` are others.
    const ofLog = (span: SpanRecord) => !isOnNode(span)
    await readSpans(
      followed.map(({ sequence }) => traceSubject("*", "*", sequence)),
      ofLog
    )
  }
}

const readInParts = async (
  js: JetStreamClient,
  filters: ReadonlyArray<string>,
  take: (message: JsMsg) => void
): Promise<void> => {
  for (let at = 0; at < filters.length; at += filtersAtOnce) {
    await readAll(js, { stream: "TRACE", filters: filters.slice(at, at + filtersAtOnce) }, take)
  }
}

/** The subjects of the events of an object that is named as `services/default/web`. */
const subjectsOf = (kinds: ReadonlyArray<KindId>, object: string): string | undefined => {
  const [resource, first, second] = object.split("/")
  const kind = kinds.find((candidate) => resourceName(candidate) === resource)
  if (kind === undefined || first === undefined) return undefined
  return objectSubjects(
    kind,
    second === undefined ? { namespace: "", name: first } : { namespace: first, name: second }
  )
}

const eventOf = (kinds: ReadonlyArray<KindId>, message: StoredMsg): EventRecord | undefined => {
  const parsed = parseSubject(message.subject)
  const kind = kinds.find((candidate) => resourceToken(candidate) === parsed?.resource)
  if (parsed === undefined || kind === undefined) return undefined
  const header = (name: string) => message.header.get(name)
  const manager = header("ce-manager")
  const by = { manager, operation: header("ce-operation"), at: header("ce-changedat") }
  return {
    sequence: message.seq,
    object: `${resourceName(kind)}/${refKey(parsed.ref)}`,
    verb: parsed.verb,
    uid: header("ce-uid"),
    resourceVersion: parsed.verb === "deleted" ? "deleted" : header("ce-resourceversion"),
    at: Date.parse(header("ce-time")),
    synthesized: header("ce-synthesized") === "true",
    ...(manager === "" ? {} : { by })
  }
}
