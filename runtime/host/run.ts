import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { FunctionDefinition } from "../Function.ts"
import type { FleetAccess } from "../fleet/plan.ts"
import { type Kind, type KindId, type KubeObject, type Ref, refKey } from "../Kind.ts"
import type { EventNote } from "../Kube.ts"
import type { KubeApi } from "../kube/api.ts"
import type { ChangedBy } from "../nats/events.ts"
import type { SpanContext } from "../trace/context.ts"
import type { SpanRecord, SpanWrite } from "../trace/span.ts"
import { execute } from "./execute.ts"
import { objectPathOf } from "./functionKube.ts"
import { type Ended, judge, noteOf, outcomeOf } from "./judge.ts"
import type { Tries } from "./work.ts"
import type { WorldView } from "./worldView.ts"

export { backoffMillis, type Ended, maxFaults } from "./judge.ts"

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
  /** The fleet; `undefined` where no function sees it. */
  readonly fleet?: FleetAccess | undefined
  /** What else handlers need: the services of this process. */
  readonly context: Context.Context<never>
}

export const describeTarget = (target: Target): string =>
  target._tag === "Tick" ? "tick" : objectPathOf(target.kind, target.ref)

/** Runs a function once for a target, in its present state. Never rejects. */
export const runOnce = async (
  fn: FunctionDefinition<any>,
  target: Target,
  tries: Tries,
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
  // One that throws before it comes to its Effect has a defect like any other.
  let program: ReturnType<typeof fn.handle> = Effect.suspend(() => fn.handle(input))
  try {
    for (const guard of fn.when) if (!guard(input)) return { _tag: "GuardSaidNo" }
  } catch (thrown) {
    program = Effect.die(thrown)
  }
  const parent = parentOf(woken, services)
  const object = describeTarget(target)
  const { exit, span, writes, start } = await execute({ fn, object, parent, services, signal, program })
  const ended = judge(exit, tries, span)
  const note = noteOf(ended)
  if (note !== undefined && now !== undefined && target._tag === "Object") {
    services.note(target.kind, now, fn.name, note)
  }
  const { attempt } = tries
  if (writes.length > 0 || decisionOf(ended) !== undefined) {
    services.record(
      recordOf({ fn, object, now, woken, parent, span, start, writes, ended, attempt, services })
    )
  }
  return ended
}

/** The event of a write of ours goes on in that write's trace. */
export const parentOf = (woken: Woken | undefined, services: RunServices): SpanContext | undefined =>
  woken === undefined ? undefined : (services.causeOf(woken.uid, woken.resourceVersion) ?? woken.parent)

/** What the run decided, or why it failed. */
export const decisionOf = (ended: Ended): string | undefined =>
  ended._tag === "Done" ? ended.decision : "cause" in ended ? ended.cause : undefined

export interface Recorded {
  readonly fn: FunctionDefinition<any>
  readonly object: string
  /** The object as the run read it. */
  readonly now: KubeObject | undefined
  readonly woken: Woken | undefined
  readonly parent: SpanContext | undefined
  readonly span: SpanContext
  readonly start: number
  readonly writes: ReadonlyArray<SpanWrite>
  readonly ended: Ended
  /** Default: what the run ended with. */
  readonly decision?: string | undefined
  readonly attempt: number
  readonly services: RunServices
}

export const recordOf = (run: Recorded): SpanRecord => {
  const { object, now, woken, parent, ended, decision = decisionOf(ended) } = run
  const read = now && { object, uid: now.metadata.uid, resourceVersion: now.metadata.resourceVersion }
  return {
    ...run.span,
    ...(parent === undefined ? {} : { parentSpanId: parent.spanId }),
    function: run.fn.name,
    host: run.services.host,
    object,
    start: run.start,
    end: Date.now(),
    ...(read === undefined ? {} : { read }),
    // What the fleet tells is not in the log.
    ...(woken === undefined || woken.sequence === 0
      ? {}
      : {
          event: {
            sequence: woken.sequence,
            at: woken.at,
            ...(woken.by === undefined ? {} : { by: woken.by })
          }
        }),
    writes: run.writes,
    outcome: outcomeOf(ended),
    ...(decision === undefined ? {} : { decision }),
    attempt: run.attempt
  }
}

/** `namespace/name` of a target within its function, or `tick`. */
export const targetKey = (target: Target): string =>
  target._tag === "Tick" ? "tick" : `${target.kind.plural}/${refKey(target.ref)}`
