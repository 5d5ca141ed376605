import { parseTraceparent } from "../trace/context.ts"
import type { Delivery } from "./delivery.ts"
import type { Woken } from "./run.ts"
import type { Cause } from "./work.ts"

/** An event that was received, until all that it woke is done. */
export interface Held extends Cause {
  message: Delivery | undefined
  readonly woken: Woken | undefined
  /** The keys of targets that a wake-up of their own stands for. */
  renewed?: Set<string>
}

/** The events that woke a run may be many; it goes on in the trace of the last. */
export const lastWoken = (causes: ReadonlyArray<Cause>): Woken | undefined =>
  (causes as ReadonlyArray<Held>).findLast(({ woken }) => woken !== undefined)?.woken

/** Something that happened in the fleet: there is nothing to acknowledge. */
export const fromFleet = (traceparent: string | undefined): Held => {
  const parent = parseTraceparent(traceparent)
  const woken = { sequence: 0, at: Date.now(), uid: "", resourceVersion: "" }
  return {
    sequence: 0,
    outstanding: 0,
    message: undefined,
    isFree: true,
    woken: parent === undefined ? woken : { ...woken, parent },
    settle: () => undefined
  }
}
