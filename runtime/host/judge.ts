import * as Cause from "effect/Cause"
import * as Exit from "effect/Exit"
import type { Disposed } from "../Disposition.ts"
import type { EventNote } from "../Kube.ts"
import type { SpanContext } from "../trace/context.ts"
import type { Outcome } from "../trace/span.ts"
import type { Tries } from "./work.ts"

/** A handler that throws, or fails by a fault of ours, does so so often in a row before what it is run for is parked. */
export const maxFaults = 10

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

/** What a run says is kept to this: it goes into logs, spans and what is parked, and a message has its limits. */
const longestText = 8_000

const shortened = (text: string): string =>
  text.length <= longestText ? text : `${text.slice(0, longestText)} … (${text.length} characters)`

/** Says what becomes of a run that has ended. What fails by no known disposition is a fault, as is what throws. Never throws. */
export const judge = (
  exit: Exit.Exit<string | void, Disposed>,
  { attempt, faults }: Tries,
  span: SpanContext
): Ended => {
  const again = (cause: string, isFault: boolean): Ended => ({
    _tag: "Again",
    afterMillis: backoffMillis(attempt, Math.random()),
    cause: shortened(cause),
    ...(isFault ? { isFault } : {})
  })
  const fault = (cause: string): Ended =>
    faults + 1 >= maxFaults ? { _tag: "Park", cause: shortened(cause), span } : again(cause, true)
  try {
    if (Exit.isSuccess(exit)) {
      const { value } = exit
      return {
        _tag: "Done",
        decision: value === undefined || value === null ? undefined : shortened(`${value}`)
      }
    }
    const failure = firstFailure(exit.cause)
    if (failure === undefined) {
      // By the host: what interrupts itself is a defect by now.
      if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "Again", afterMillis: 0, cause: "interrupted" }
      return fault(Cause.pretty(exit.cause))
    }
    const { disposition } = failure
    // Also of an error that no type has seen.
    switch (disposition?._tag) {
      case "Retry":
        return again(failure.message, false)
      case "RetryAfter": {
        const { millis, reason } = disposition
        // No number, or none that is to come: it waits as others do.
        if (!(millis > 0)) return again(failure.message, false)
        const cause = shortened(failure.message)
        return { _tag: "Again", afterMillis: millis, cause, ...(reason === undefined ? {} : { reason }) }
      }
      case "Reject":
        return { _tag: "Rejected", cause: shortened(failure.message), reason: disposition.reason }
      case "Park":
        return fault(failure.message)
      default:
        return fault(`an error without a disposition: ${Cause.pretty(exit.cause)}`)
    }
  } catch (thrown) {
    return fault(
      `what the run ended with cannot be told: ${thrown instanceof Error ? thrown.name : typeof thrown}`
    )
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
