import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { Disposed } from "../Disposition.ts"
import type { FunctionDefinition } from "../Function.ts"
import { type Kind, type KindId, type KubeObject, type Ref, refKey } from "../Kind.ts"
import { type EventNote, Kube } from "../Kube.ts"
import type { KubeApi } from "../kube/api.ts"
import type { ChangedBy } from "../nats/events.ts"
import { newSpan, type SpanContext, traceparentOf } from "../trace/context.ts"
import type { Outcome, SpanRecord, SpanWrite } from "../trace/span.ts"
import { FunctionKube, objectPathOf } from "./functionKube.ts"
import type { WorldView } from "./worldView.ts"

/** A handler that throws, or fails by a fault of ours, is tried so often, then parked. */
export const maxAttempts = 10

const firstRetryMillis = 50
const longestRetryMillis = 30_000

/** Exponential, with "equal jitter": half of it is random, so that many that failed at once do not return at once. */
export const backoffMillis = (attempt: number, random: number): number => {
  const ceiling = Math.min(firstRetryMillis * 2 ** Math.min(attempt - 1, 20), longestRetryMillis)
  return ceiling * (0.5 + 0.5 * random)
}

/** What a run is for: an object, the key of one that may be gone, or a timer's tick. */
export type Target =
  | { readonly _tag: "Object"; readonly kind: Kind<any>; readonly ref: Ref; readonly gives: "object" | "key" }
  | { readonly _tag: "Tick"; readonly at: number }

/** What woke the run, as the event's headers tell it. */
export interface Woken {
  readonly sequence: number
  readonly at: number
  readonly by?: ChangedBy
  readonly parent?: SpanContext
  /** The state that the event told of; a deletion is `deleted`. */
  readonly uid: string
  readonly resourceVersion: string
}

export interface RunServices {
  readonly api: KubeApi
  readonly view: WorldView
  readonly note: (kind: KindId, object: KubeObject, reporter: string, note: EventNote) => void
  readonly wake: (functionName: string, kind: KindId, ref: Ref, parent: string) => Promise<void>
  readonly record: (span: SpanRecord) => void
  readonly caused: (uid: string, resourceVersion: string, span: SpanContext) => void
  readonly causeOf: (uid: string, resourceVersion: string) => SpanContext | undefined
  readonly host: string
  /** What else handlers need: the services of this process. */
  readonly context: Context.Context<never>
}

/** How a run ended, and what the host is to do. */
export type Ended =
  | { readonly _tag: "Gone" }
  | { readonly _tag: "GuardSaidNo" }
  | { readonly _tag: "Done"; readonly decision: string | undefined }
  | { readonly _tag: "Again"; readonly afterMillis: number; readonly cause: string }
  | { readonly _tag: "Rejected"; readonly cause: string }
  | { readonly _tag: "Park"; readonly cause: string; readonly span: SpanContext }

export const describeTarget = (target: Target): string =>
  target._tag === "Tick" ? "tick" : objectPathOf(target.kind, target.ref)

/** Runs a function once for a target, in its present state. Never rejects. */
export const runOnce = async (
  fn: FunctionDefinition<any>,
  target: Target,
  attempt: number,
  woken: Woken | undefined,
  services: RunServices,
  signal?: AbortSignal
): Promise<Ended> => {
  const now = target._tag === "Tick" ? undefined : services.view.find(target.kind, target.ref)
  let input: unknown
  if (target._tag === "Tick") input = { at: target.at }
  else if (target.gives === "key") input = { ref: target.ref, now }
  else if (now === undefined) return { _tag: "Gone" }
  else input = now
  let program: Effect.Effect<string | void, Disposed, Kube>
  try {
    for (const guard of fn.when) if (!guard(input)) return { _tag: "GuardSaidNo" }
    program = fn.handle(input)
  } catch (thrown) {
    // Before it came to its Effect, which would have caught it: a defect like any other.
    program = Effect.die(thrown)
  }

  // The event of a write of ours goes on in that write's trace.
  const state = now?.metadata
  const own = woken === undefined ? undefined : services.causeOf(woken.uid, woken.resourceVersion)
  const parent = own ?? woken?.parent
  let span = newSpan(parent)
  const writes: Array<SpanWrite> = []
  const kube = new FunctionKube({
    api: services.api,
    view: services.view,
    fn,
    note: services.note,
    wake: services.wake,
    traceparent: () => traceparentOf(span),
    log: { writes, wrote: (uid, version) => services.caused(uid, version, span) }
  })
  const start = Date.now()
  const exit = await Effect.runPromiseExitWith(Context.add(services.context, Kube, kube as never))(
    // The ids of the tracer in use, so that a span is the same one in `TRACE` and in an OTLP collector.
    Effect.currentSpan.pipe(
      Effect.tap(({ traceId, spanId }) =>
        Effect.sync(() => {
          span = { traceId, spanId }
        })
      ),
      Effect.ignore,
      Effect.andThen(program),
      Effect.annotateLogs({ function: fn.name, object: describeTarget(target) }),
      Effect.withSpan(
        fn.name,
        {
          kind: "consumer",
          attributes: { object: describeTarget(target) },
          ...(parent === undefined ? {} : { parent: externalSpan(parent) })
        },
        // Where it was declared is known by its name; a stack for each run is a tenth of the host's work.
        { captureStackTrace: false }
      )
    ),
    signal === undefined ? {} : { signal }
  )
  const ended = judge(exit, attempt, span)
  if (ended._tag === "Rejected" && now !== undefined && target._tag === "Object") {
    services.note(target.kind, now, fn.name, rejection(exit))
  }
  const decision = ended._tag === "Done" ? ended.decision : "cause" in ended ? ended.cause : undefined
  if (writes.length > 0 || decision !== undefined) {
    services.record({
      ...span,
      ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
      function: fn.name,
      host: services.host,
      object: describeTarget(target),
      start,
      end: Date.now(),
      ...(state === undefined
        ? {}
        : {
            read: { object: describeTarget(target), uid: state.uid, resourceVersion: state.resourceVersion }
          }),
      ...(woken === undefined
        ? {}
        : {
            event: {
              sequence: woken.sequence,
              at: woken.at,
              ...(woken.by === undefined ? {} : { by: woken.by })
            }
          }),
      writes,
      outcome: outcomeOf(ended),
      ...(decision === undefined ? {} : { decision }),
      attempt
    })
  }
  return ended
}

const externalSpan = (context: SpanContext) =>
  ({ _tag: "ExternalSpan", ...context, sampled: true, annotations: Context.empty() }) as const

const outcomeOf = (ended: Ended): Outcome =>
  ended._tag === "Again"
    ? "retry"
    : ended._tag === "Rejected"
      ? "rejected"
      : ended._tag === "Park"
        ? "parked"
        : "done"

const rejection = (exit: Exit.Exit<unknown, Disposed>): EventNote => {
  const failure = Exit.isFailure(exit) ? firstFailure(exit.cause) : undefined
  const reason = failure?.disposition._tag === "Reject" ? failure.disposition.reason : "Rejected"
  return { type: "Warning", reason, message: failure?.message ?? "rejected" }
}

const firstFailure = (cause: Cause.Cause<Disposed>): Disposed | undefined => {
  for (const reason of cause.reasons) if (reason._tag === "Fail") return reason.error
  return undefined
}

const judge = (exit: Exit.Exit<string | void, Disposed>, attempt: number, span: SpanContext): Ended => {
  if (Exit.isSuccess(exit)) return { _tag: "Done", decision: exit.value ?? undefined }
  const failure = firstFailure(exit.cause)
  if (failure === undefined) {
    const cause = Cause.pretty(exit.cause)
    if (Cause.hasInterruptsOnly(exit.cause)) return { _tag: "Again", afterMillis: 0, cause: "interrupted" }
    return attempt >= maxAttempts
      ? { _tag: "Park", cause, span }
      : { _tag: "Again", afterMillis: backoffMillis(attempt, Math.random()), cause }
  }
  const cause = failure.message
  switch (failure.disposition._tag) {
    case "Retry":
      return { _tag: "Again", afterMillis: backoffMillis(attempt, Math.random()), cause }
    case "RetryAfter":
      return { _tag: "Again", afterMillis: failure.disposition.millis, cause }
    case "Reject":
      return { _tag: "Rejected", cause }
    case "Park":
      return attempt >= maxAttempts
        ? { _tag: "Park", cause, span }
        : { _tag: "Again", afterMillis: backoffMillis(attempt, Math.random()), cause }
  }
}

/** `namespace/name` of a target within its function, or `tick`. */
export const targetKey = (target: Target): string =>
  target._tag === "Tick" ? "tick" : `${target.kind.plural}/${refKey(target.ref)}`
