import type { ChangedBy } from "../nats/events.ts"

/** A state of an object: what joins the spans of several processes where a trace context could not travel. */
export interface StateId {
  /** `services/default/web`, `ipclaims.ipcontroller.ext/192-168-0-249` */
  readonly object: string
  readonly uid: string
  /** A deletion has none: it is `deleted`. */
  readonly resourceVersion: string
}

/** One write within a span. Times are milliseconds since the epoch. */
export interface SpanWrite extends StateId {
  /** `place` is of the fleet: its objects are `placements/<claim>`. */
  readonly verb: "create" | "patch" | "delete" | "place"
  readonly subresource: "" | "status"
  readonly start: number
  readonly end: number
  /** `undefined` when it succeeded. */
  readonly failure?: string
  /** There was nothing to change: the state that it names is one that somebody had made before. */
  readonly unchanged?: true
}

/** Whether it has made the state that it names. */
export const hasMade = ({ failure, unchanged }: SpanWrite): boolean =>
  failure === undefined && unchanged !== true

export type Outcome = "done" | "retry" | "rejected" | "parked" | "failed"

/** One run of one function for one object, as it stands in `TRACE`. Times are milliseconds since the epoch. */
export interface SpanRecord {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly function: string
  readonly host: string
  /** Whom it was run for. */
  readonly object: string
  readonly start: number
  readonly end: number
  readonly read?: StateId
  /** The event that woke it: its sequence in the log, and who made the change. */
  readonly event?: { readonly sequence: number; readonly at: number; readonly by?: ChangedBy }
  readonly writes: ReadonlyArray<SpanWrite>
  readonly outcome: Outcome
  readonly decision?: string
  readonly attempt: number
}
