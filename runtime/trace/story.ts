import type { ChangedBy } from "../nats/events.ts"
import type { SpanRecord } from "./span.ts"

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

/** An event with the runs that it woke; a run with the events that its writes caused. */
export interface EventNode {
  readonly event: EventRecord
  readonly runs: ReadonlyArray<RunNode>
}
export interface RunNode {
  readonly span: SpanRecord
  readonly caused: ReadonlyArray<EventNode>
}

export interface Story {
  /** Changes that came from outside, oldest first, with everything that followed from them. */
  readonly roots: ReadonlyArray<EventNode>
  /** Runs that no event woke (timers), or whose event has left the log. */
  readonly others: ReadonlyArray<RunNode>
}

const stateKey = (state: { readonly uid: string; readonly resourceVersion: string }): string =>
  `${state.uid}.${state.resourceVersion}`

/**
 * Joins events and runs: a run hangs on the event that woke it, an event on the run that wrote its state. Where a
 * trace context was lost (another host, another process), the pair of uid and resource version still joins them.
 */
export const tell = (events: ReadonlyArray<EventRecord>, spans: ReadonlyArray<SpanRecord>): Story => {
  const written = new Set<string>()
  for (const span of spans) {
    for (const write of span.writes) if (write.failure === undefined) written.add(stateKey(write))
  }
  const eventsByState = Map.groupBy(events, stateKey)
  const spansByEvent = Map.groupBy(spans, (span) => span.event?.sequence ?? 0)
  const told = new Set<EventRecord>()
  const run = (span: SpanRecord): RunNode => ({
    span,
    caused: span.writes
      .filter((write) => write.failure === undefined)
      .flatMap((write) =>
        (eventsByState.get(stateKey(write)) ?? []).map(node).filter((made) => made !== undefined)
      )
  })
  const node = (event: EventRecord): EventNode | undefined => {
    if (told.has(event)) return undefined
    told.add(event)
    const runs = (spansByEvent.get(event.sequence) ?? []).toSorted((a, b) => a.start - b.start)
    return { event, runs: runs.map(run) }
  }
  const roots = events
    .filter((event) => !written.has(stateKey(event)))
    .toSorted((a, b) => a.sequence - b.sequence)
    .map(node)
    .filter((made) => made !== undefined)
  const known = new Set(events.map((event) => event.sequence))
  const others = spans
    .filter((span) => span.event === undefined || !known.has(span.event.sequence))
    .toSorted((a, b) => a.start - b.start)
    .map(run)
  return { roots, others }
}

const clock = (millis: number): string => new Date(millis).toISOString().slice(11, 23)
const since = (millis: number, from: number): string => `+${Math.max(0, millis - from)} ms`.padStart(10)

/** The story as a waterfall; times are UTC, offsets are from the change at its root. */
export const draw = (story: Story): ReadonlyArray<string> => {
  const out: Array<string> = []
  const drawRun = ({ span, caused }: RunNode, start: number, depth: number): void => {
    const pad = "  ".repeat(depth)
    const decision = span.decision === undefined ? "" : `: ${span.decision}`
    const attempt = span.attempt > 1 ? ` (attempt ${span.attempt})` : ""
    const forWhom = `for ${span.object}`
    out.push(
      `${since(span.start, start)}  ${pad}${span.function} ${forWhom} took ${span.end - span.start} ms, ${span.outcome}${attempt}${decision}`
    )
    for (const write of span.writes) {
      const what = `${write.verb} ${write.object}${write.subresource === "" ? "" : `/${write.subresource}`}`
      const result = write.failure === undefined ? `→ ${write.resourceVersion}` : `✗ ${write.failure}`
      out.push(`${since(write.start, start)}  ${pad}  ${what} took ${write.end - write.start} ms ${result}`)
    }
    for (const next of caused) drawEvent(next, start, depth + 1)
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
        ? ""
        : ` by ${event.by.manager} (${event.by.operation}) at ${event.by.at.slice(11, 19)}`
    out.push(`${clock(event.at)}  ${event.object} ${event.verb}${who}`)
    drawEvent(root, event.at, 0)
    out.push("")
  }
  for (const other of story.others) {
    out.push(
      `${clock(other.span.start)}  ${other.span.function}: ${other.span.event === undefined ? "a timer" : "an event that has left the log"}`
    )
    drawRun(other, other.span.start, 0)
    out.push("")
  }
  return out
}
