import type { JetStreamClient } from "@nats-io/jetstream"
import type { FunctionDefinition } from "../Function.ts"
import type { BatchResult } from "./batchWork.ts"
import type { HostMetrics } from "./metrics.ts"
import { park } from "./parked.ts"
import { describeTarget, type Ended, type Target } from "./run.ts"

export type OutcomeNews =
  | {
      readonly _tag: "Again"
      readonly function: string
      readonly object: string
      readonly cause: string
      readonly attempt: number
      /** Somebody else has to act: the object has an Event with this reason. */
      readonly reason?: string | undefined
    }
  | { readonly _tag: "Rejected"; readonly function: string; readonly object: string; readonly cause: string }
  | { readonly _tag: "Parked"; readonly function: string; readonly object: string; readonly cause: string }
  | { readonly _tag: "Done"; readonly function: string; readonly object: string; readonly decision: string }

export interface OutcomeOptions {
  readonly fn: FunctionDefinition<any>
  readonly js: JetStreamClient
  readonly metrics: HostMetrics
  readonly say: (news: OutcomeNews) => void
}

/** One run that has ended. */
export interface EndedRun {
  readonly targets: ReadonlyArray<Target>
  readonly ended: Ended
  readonly attempt: number
  readonly tookMillis: number
  /** When what woke it happened, in milliseconds since the epoch; 0 where that is not known. */
  readonly wokenAt: number
}

/** Says what has become of a run, counts it, and parks what is given up. */
export const concludeRun = async (options: OutcomeOptions, run: EndedRun): Promise<BatchResult> => {
  const { fn, js, metrics, say } = options
  const { targets, ended, attempt, wokenAt } = run
  metrics.ended(fn.name, ended._tag, run.tookMillis / 1000)
  const object = targets.length === 1 ? describeTarget(targets[0]!) : `${targets.length} objects`
  const what = { function: fn.name, object }
  switch (ended._tag) {
    case "Again":
      if (ended.cause !== "interrupted") {
        metrics.again(fn.name)
        const { cause, reason } = ended
        say({ _tag: "Again", ...what, cause, attempt, reason })
      }
      return ended
    case "Park": {
      const { cause, span } = ended
      try {
        const why = { cause, attempts: attempt, traceId: span.traceId }
        await Promise.all(targets.map((target) => park(js, fn.name, target, why)))
      } catch {
        return { _tag: "Again", afterMillis: 5_000, isFault: true }
      }
      for (const target of targets) {
        metrics.parked(fn.name)
        say({ _tag: "Parked", function: fn.name, object: describeTarget(target), cause })
      }
      return { _tag: "Settled" }
    }
    case "Rejected":
      say({ _tag: "Rejected", ...what, cause: ended.cause })
      return { _tag: "Settled" }
    case "Done":
      if (ended.decision !== undefined) {
        if (wokenAt > 0) metrics.reacted(fn.name, Date.now() - wokenAt)
        say({ _tag: "Done", ...what, decision: ended.decision })
      }
      return { _tag: "Settled" }
    default:
      return { _tag: "Settled" }
  }
}
