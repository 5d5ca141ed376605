import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Disposed } from "../Disposition.ts"
import { Fleet } from "../Fleet.ts"
import type { FunctionDefinition } from "../Function.ts"
import { Kube } from "../Kube.ts"
import { newSpan, type SpanContext, traceparentOf } from "../trace/context.ts"
import type { SpanWrite } from "../trace/span.ts"
import { FunctionFleet } from "./functionFleet.ts"
import { FunctionKube } from "./functionKube.ts"
import type { RunServices } from "./run.ts"
import { Ending } from "./runs.ts"

export interface Execution {
  readonly fn: FunctionDefinition<any>
  /** What it is run for, in the logs. */
  readonly object: string
  readonly parent: SpanContext | undefined
  readonly services: RunServices
  /** Interrupts the run. */
  readonly signal: AbortSignal | undefined
  /** In whose trace a write of the object is; default: the run's. */
  readonly spanOf?: (object: string, run: SpanContext) => SpanContext
  readonly program: Effect.Effect<string | void, Disposed, Kube>
}

export interface Executed {
  readonly exit: Exit.Exit<string | void, Disposed>
  readonly span: SpanContext
  readonly writes: ReadonlyArray<SpanWrite>
  readonly start: number
}

/** `placements/<claim>`: a claim's placement, as spans name it. */
export const placementPath = (claim: string): string => `placements/${claim}`

/** Runs a handler with its services, in a span of its own. Never rejects. */
export const execute = async (execution: Execution): Promise<Executed> => {
  const { fn, object, parent, services, signal, program, spanOf = (_, run) => run } = execution
  let span = newSpan(parent)
  const writes: Array<SpanWrite> = []
  const kube = new FunctionKube({
    api: services.api,
    view: services.view,
    fn,
    note: services.note,
    wake: services.wake,
    traceparent: () => traceparentOf(span),
    log: {
      writes,
      // The write was put down right before.
      wrote: (uid, version) => services.caused(uid, version, spanOf(writes.at(-1)?.object ?? "", span))
    }
  })
  let context = Context.add(services.context, Kube, kube as never)
  if (services.fleet !== undefined && fn.fleet !== "none") {
    const traceparent = (claim: string) => traceparentOf(spanOf(placementPath(claim), span))
    const fleet = new FunctionFleet({ access: services.fleet, fn, traceparentOf: traceparent, writes })
    context = Context.add(context, Fleet, fleet as never)
  }
  const start = Date.now()
  const run = Effect.runPromiseExitWith(context)(
    // The ids of the tracer in use, so that a span is the same one in `TRACE` and in an OTLP collector.
    Effect.currentSpan.pipe(
      Effect.tap(({ traceId, spanId }) =>
        Effect.sync(() => {
          span = { traceId, spanId }
        })
      ),
      Effect.ignore,
      Effect.andThen(program),
      Effect.annotateLogs({ function: fn.name, object }),
      Effect.withSpan(
        fn.name,
        {
          kind: "consumer",
          attributes: { object },
          ...(parent === undefined ? {} : { parent: externalSpan(parent) })
        },
        // Where it was declared is known by its name; a stack for each run is a tenth of the host's work.
        { captureStackTrace: false }
      )
    ),
    signal === undefined ? {} : { signal }
  )
  const exit = await (signal === undefined ? run : Promise.race([run, interrupted(signal)]))
  return { exit: reasoned(exit, signal), span, writes, start }
}

/** So long a run may take to end once it is told to. One that does not listen is no longer waited for. */
const graceMillis = 2_000

const interrupted = (signal: AbortSignal): Promise<Exit.Exit<never>> =>
  new Promise((resolve) => {
    const givenUp = () => setTimeout(() => resolve(Exit.interrupt()), graceMillis)
    signal.addEventListener("abort", givenUp, { once: true })
  })

/** That a run took too long, or interrupted itself, is a fault of its own; that its host ends is none. */
const reasoned = <A, E>(exit: Exit.Exit<A, E>, signal: AbortSignal | undefined): Exit.Exit<A, E> => {
  if (Exit.isSuccess(exit) || !Cause.hasInterruptsOnly(exit.cause)) return exit
  if (signal?.aborted !== true) return Exit.die(new Error("the handler interrupted itself"))
  return signal.reason instanceof Ending && signal.reason.isOverdue ? Exit.die(signal.reason) : exit
}

const externalSpan = (context: SpanContext) =>
  ({ _tag: "ExternalSpan", ...context, sampled: true, annotations: Context.empty() }) as const
