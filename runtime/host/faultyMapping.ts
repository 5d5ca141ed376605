import * as Cause from "effect/Cause"
import { parseTraceparent } from "../trace/context.ts"
import { park } from "./parked.ts"
import { describeTarget, type Target } from "./run.ts"
import type { WorkerOptions } from "./worker.ts"

/**
 * Tells that a mapping threw. Its object is parked, as it is when a handler throws, but at once: there is no run that
 * could be tried again. Who retries what is parked has the mapping asked again. Never rejects.
 */
export const concludeMapping = async (
  { fn, js, metrics, say }: Pick<WorkerOptions, "fn" | "js" | "metrics" | "say">,
  object: Target | undefined,
  thrown: unknown,
  traceparent: string | undefined
): Promise<void> => {
  const cause = Cause.pretty(Cause.die(thrown))
  const trouble = (of: string) =>
    say({ _tag: "Trouble", function: fn.name, message: `a mapping threw for ${of}: ${cause}` })
  if (object === undefined) return trouble("what happened in the fleet")
  const name = describeTarget(object)
  try {
    const traceId = parseTraceparent(traceparent)?.traceId ?? ""
    await park(js, fn.name, object, { cause, attempts: 1, traceId })
    metrics.parked(fn.name)
    say({ _tag: "Parked", function: fn.name, object: name, cause })
  } catch {
    trouble(name)
  }
}
