import type { ChangedBy } from "../nats/events.ts"
import { hasMade, type SpanRecord, type SpanWrite } from "./span.ts"
import { isOnNode } from "./wire.ts"

/** One event of the log, as a trace tells of it. Times are milliseconds since the epoch. */
export interface EventRecord {
  readonly sequence: number
  readonly object: string
  readonly verb: string
  readonly uid: string
  /** `deleted` for deletions. */
  readonly resourceVersion: string
  readonly at: number
  readonly by?: ChangedBy
  readonly synthesized: boolean
}

/**
 * An event with the runs that it woke; a run with the events that its writes caused, and the runs that followed from it
 * without an event of the log: on the nodes that it placed something on, or because of what a node said.
 */
export interface EventNode {
  readonly event: EventRecord
  readonly runs: ReadonlyArray<RunNode>
}
export interface RunNode {
  readonly span: SpanRecord
  readonly caused: ReadonlyArray<EventNode>
  readonly followed: ReadonlyArray<RunNode>
}

export interface Story {
  /** Changes that came from outside, as far as can be told, oldest first, with everything that followed from them. */
  readonly roots: ReadonlyArray<EventNode>
  /** Runs that no event woke (timers, what nodes say and do), or whose event has left the log. */
  readonly others: ReadonlyArray<RunNode>
}

const stateKey = (state: { readonly uid: string; readonly resourceVersion: string }): string =>
  `${state.uid}.${state.resourceVersion}`

/**
 * Joins events and runs: a run hangs on the event that woke it, an event on the run that wrote its state. Where a
 * trace context was lost (another host, another process), the pair of uid and resource version still joins them. A run
 * that no event of the log woke hangs on the run whose trace context it was given.
 */
export const tell = (events: ReadonlyArray<EventRecord>, spans: ReadonlyArray<SpanRecord>): Story => {
  const written = new Set<string>()
  for (const span of spans) {
    for (const write of span.writes) if (hasMade(write)) written.add(stateKey(write))
  }
  const eventsByState = Map.groupBy(events, stateKey)
  const known = new Set(events.map((event) => event.sequence))
  const wokenBy = ({ event, object }: SpanRecord): number | undefined =>
    event !== undefined && !isOnNode({ object }) && known.has(event.sequence) ? event.sequence : undefined
  const spansByEvent = Map.groupBy(spans, wokenBy)
  const ids = new Set(spans.map(({ spanId }) => spanId))
  const unwoken = (spansByEvent.get(undefined) ?? []).toSorted(byStart)
  const spansByParent = Map.groupBy(unwoken, ({ parentSpanId }) =>
    parentSpanId !== undefined && ids.has(parentSpanId) ? parentSpanId : undefined
  )
  const told = new Set<EventRecord>()
  const drawn = new Set<SpanRecord>()
  const run = (span: SpanRecord): RunNode => {
    drawn.add(span)
    const caused = span.writes
      .filter(hasMade)
      .flatMap((write) =>
        (eventsByState.get(stateKey(write)) ?? []).map(node).filter((made) => made !== undefined)
      )
    return { span, caused, followed: (spansByParent.get(span.spanId) ?? []).map(run) }
  }
  const node = (event: EventRecord): EventNode | undefined => {
    if (told.has(event)) return undefined
    told.add(event)
    const runs = (spansByEvent.get(event.sequence) ?? []).toSorted(byStart)
    return { event, runs: runs.map(run) }
  }
  const inOrder = events.toSorted((a, b) => a.sequence - b.sequence)
  const nodes = (some: ReadonlyArray<EventRecord>) => some.map(node).filter((made) => made !== undefined)
  const roots = nodes(inOrder.filter((event) => !written.has(stateKey(event))))
  const others = (spansByParent.get(undefined) ?? []).map(run)
  // What only follows from itself: a run that says it made the state that woke it. Nothing is kept back.
  const circular = nodes(inOrder)
  // What hangs on something that was told elsewhere already.
  const rest = unwoken.filter((span) => !drawn.has(span)).map(run)
  return {
    roots: [...roots, ...circular].sort((a, b) => a.event.sequence - b.event.sequence),
    others: [...others, ...rest]
  }
}

const byStart = (one: SpanRecord, other: SpanRecord): number => one.start - other.start

const clock = (millis: number): string => new Date(millis).toISOString().slice(11, 23)
const since = (millis: number, from: number): string => `+${Math.max(0, millis - from)} ms`.padStart(10)

const resultOf = ({ verb, resourceVersion, failure, unchanged }: SpanWrite): string => {
  if (failure !== undefined) return ` ✗ ${failure}`
  if (unchanged === true) return ` = ${resourceVersion}, nothing changed`
  // A placement has no version: its term is the nodes' affair.
  return verb === "place" ? "" : ` → ${resourceVersion}`
}

const whatWoke = (span: SpanRecord): string => {
  if (isOnNode(span)) return `on ${span.host}`
  if (span.event !== undefined) return "an event that has left the log"
  return span.object === "tick" ? "a timer" : "what is heard of the nodes"
}

/** The story as a waterfall; times are UTC, offsets are from the change at its root. */
export const draw = (story: Story): ReadonlyArray<string> => {
  const out: Array<string> = []
  const drawRun = ({ span, caused, followed }: RunNode, start: number, depth: number): void => {
    const pad = "  ".repeat(depth)
    const decision = span.decision === undefined ? "" : `: ${span.decision}`
    const attempt = span.attempt > 1 ? ` (attempt ${span.attempt})` : ""
    const forWhom = `for ${span.object}${isOnNode(span) ? ` on ${span.host}` : ""}`
    out.push(
      `${since(span.start, start)}  ${pad}${span.function} ${forWhom} took ${span.end - span.start} ms, ${span.outcome}${attempt}${decision}`
    )
    for (const write of span.writes) {
      const what = `${write.verb} ${write.object}${write.subresource === "" ? "" : `/${write.subresource}`}`
      const took = `took ${write.end - write.start} ms${resultOf(write)}`
      out.push(`${since(write.start, start)}  ${pad}  ${what} ${took}`)
    }
    for (const next of caused) drawEvent(next, start, depth + 1)
    for (const next of followed) drawRun(next, start, depth + 1)
  }
  const drawEvent = ({ event, runs }: EventNode, start: number, depth: number): void => {
    const pad = "  ".repeat(depth)
    const how = event.synthesized ? " (found by comparing with a list)" : ""
    out.push(`${since(event.at, start)}  ${pad}event ${event.sequence}: ${event.object} ${event.verb}${how}`)
    for (const next of runs) drawRun(next, start, depth + 1)
  }
  for (const root of story.roots) {
    const { event } = root
    const who =
      event.by === undefined
        ? event.verb === "modified"
          ? " by somebody: Kubernetes keeps no name of who only removes or deletes"
          : ""
        : ` by ${event.by.manager} (${event.by.operation}) at ${event.by.at.slice(11, 19)}`
    out.push(`${clock(event.at)}  ${event.object} ${event.verb}${who}`)
    drawEvent(root, event.at, 0)
    out.push("")
  }
  for (const other of story.others) {
    out.push(`${clock(other.span.start)}  ${other.span.function}: ${whatWoke(other.span)}`)
    drawRun(other, other.span.start, 0)
    out.push("")
  }
  return out
}
