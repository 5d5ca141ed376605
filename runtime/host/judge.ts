import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { Disposed } from "../Disposition.ts"
import type { EventNote } from "../Kube.ts"
import type { SpanContext } from "../trace/context.ts"
import type { Outcome } from "../trace/span.ts"

/** A handler that throws, or fails by a fault of ours, is tried so often, then parked. */
export const maxAttempts = 10

const firstRetryMillis = 50
const longestRetryMillis = 30_000

/** Exponential, with "equal jitter": half of it is random, so that many that failed at once do not return at once. */
export const backoffMillis = (attempt: number, random: number): number => {
  const ceiling = Math.min(firstRetryMillis * 2 ** Math.min(attempt - 1, 20), longestRetryMillis)
  return ceiling * (0.5 + 0.5 * random)
}

/** How a run ended, and what the host is to do. */
export type Ended =
  | { readonly _tag: "Gone" }
  | { readonly _tag: "GuardSaidNo" }
  | { readonly _tag: "Done"; readonly decision: string | undefined }
  | {
      readonly _tag: "Again"
      readonly afterMillis: number
      readonly cause: string
      /** A defect, or what is to be parked: it may never succeed. */
      readonly isFault?: true
      /** Of the Event on the object, where somebody else has to act. */
      readonly reason?: string
    }
  | { readonly _tag: "Rejected"; readonly cause: string; readonly reason: string }
  | { readonly _tag: "Park"; readonly cause: string; readonly span: SpanContext }

export const judge = (
  exit: Exit.Exit<string | void, Disposed>,
  attempt: number,
  span: SpanContext
): Ended => {
  if (Exit.isSuccess(exit)) return { _tag: "Done", decision: exit.value ?? undefined }
  const failure = firstFailure(exit.cause)
  const again = (cause: string, isFault: boolean): Ended => ({
    _tag: "Again",
    afterMillis: backoffMillis(attempt, Math.random()),
    cause,
    ...(isFault ? { isFault } : {})
  })
  const fault = (cause: string): Ended =>
    attempt >= maxAttempts ? { _tag: "Park", cause, span } : again(cause, true)
  if (failure === undefined) {
    if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "Again", afterMillis: 0, cause: "interrupted" }
    return fault(Cause.pretty(exit.cause))
  }
  switch (failure.disposition._tag) {
    case "Retry":
      return again(failure.message, false)
    case "RetryAfter": {
      const { millis, reason } = failure.disposition
      const cause = failure.message
      return { _tag: "Again", afterMillis: millis, cause, ...(reason === undefined ? {} : { reason }) }
    }
    case "Reject":
      return { _tag: "Rejected", cause: failure.message, reason: failure.disposition.reason }
    case "Park":
      return fault(failure.message)
  }
}

export const outcomeOf = (ended: Ended): Outcome =>
  ended._tag === "Again"
    ? "retry"
    : ended._tag === "Rejected"
      ? "rejected"
      : ended._tag === "Park"
        ? "parked"
        : "done"

/** The Event that tells the object's owner why it was rejected, or what keeps it waiting. */
export const noteOf = (ended: Ended): EventNote | undefined =>
  (ended._tag === "Rejected" || ended._tag === "Again") && ended.reason !== undefined
    ? { type: "Warning", reason: ended.reason, message: ended.cause }
    : undefined

const firstFailure = (cause: Cause.Cause<Disposed>): Disposed | undefined => {
  for (const reason of cause.reasons) if (reason._tag === "Fail") return reason.error
  return undefined
}
