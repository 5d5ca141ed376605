import * as Duration from "effect/Duration"

/**
 * What the host does after a handler failed. An error carries its disposition; one without it does not compile.
 *
 * - `Retry`: again, after an exponential, jittered wait (50 ms to 30 s). Other objects go on meanwhile.
 * - `RetryAfter`: again, after the given wait. With a `reason`, which is for what somebody else has to mend, the object gets
 *   a Warning Event, and the log a warning.
 * - `Reject`: done with; a Warning Event with `reason` is put on the object. A new event wakes the function again.
 * - `Park`: what happened is a fault of ours; tried as a defect is (10 in a row), then put into `PARKED`.
 */
export type Disposition =
  | { readonly _tag: "Retry" }
  | { readonly _tag: "RetryAfter"; readonly millis: number; readonly reason?: string }
  | { readonly _tag: "Reject"; readonly reason: string }
  | { readonly _tag: "Park" }

export const Retry: Disposition = { _tag: "Retry" }
export const Park: Disposition = { _tag: "Park" }
/** After at most six hours it is tried in any case. `reason` as of `Reject`. */
export const RetryAfter = (wait: Duration.Input, reason?: string): Disposition => ({
  _tag: "RetryAfter",
  millis: Duration.toMillis(wait),
  ...(reason === undefined ? {} : { reason })
})
/** `reason` is the Event's, in CamelCase, as `kubectl describe` shows it. */
export const Reject = (reason: string): Disposition => ({ _tag: "Reject", reason })

/** What every error of a handler must be: named, with a message for people and a disposition for the host. */
export interface Disposed {
  readonly _tag: string
  readonly message: string
  readonly disposition: Disposition
}
