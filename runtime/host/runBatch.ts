import * as Effect from "effect/Effect"
import type { FunctionDefinition, Tell } from "../Function.ts"
import { type KubeObject, refKey } from "../Kind.ts"
import { newSpan, type SpanContext } from "../trace/context.ts"
import { execute, placementPath } from "./execute.ts"
import { type Ended, judge } from "./judge.ts"
import {
  decisionOf,
  describeTarget,
  parentOf,
  type RunServices,
  recordOf,
  type Target,
  type Woken
} from "./run.ts"
import type { Tries } from "./work.ts"

/** One object of a batch, and what woke the function for it last. */
export interface BatchItem {
  readonly target: Target
  readonly woken: Woken | undefined
}

interface Member {
  readonly object: string
  readonly now: KubeObject | undefined
  readonly woken: Woken | undefined
  readonly parent: SpanContext | undefined
  /** Its part of the run, in the trace that led to it. */
  span: SpanContext | undefined
  /** What the handler said of it. */
  told: string | undefined
}

/** Runs a batch function once for many objects, each in its present state. Never rejects. */
export const runBatch = async (
  fn: FunctionDefinition<any>,
  items: ReadonlyArray<BatchItem>,
  tries: Tries,
  services: RunServices,
  signal?: AbortSignal
): Promise<Ended> => {
  const inputs: Array<{ readonly ref: unknown; readonly now: unknown }> = []
  const members: Array<Member> = []
  /** The path of an object, and of the placement of its name → the member that a write of it belongs to */
  const byPath = new Map<string, Member>()
  const byKey = new Map<string, Member>()
  const tell: Tell = (ref, decision) =>
    Effect.sync(() => {
      const member = byKey.get(refKey(ref))
      if (member !== undefined) member.told = decision
    })
  // One that throws before it comes to its Effect has a defect like any other.
  let program: ReturnType<typeof fn.handle> = Effect.suspend(() => fn.handle(inputs, tell))
  let isFaulty = false
  try {
    for (const { target, woken } of items) {
      if (target._tag !== "Object") continue
      const now = services.view.find(target.kind, target.ref)
      const input = { ref: target.ref, now }
      if (!fn.when.every((guard) => guard(input))) continue
      const object = describeTarget(target)
      const parent = parentOf(woken, services)
      const member: Member = { object, now, woken, parent, span: undefined, told: undefined }
      inputs.push(input)
      members.push(member)
      byKey.set(refKey(target.ref), member)
      byPath.set(object, member)
      byPath.set(placementPath(target.ref.name), member)
    }
  } catch (thrown) {
    isFaulty = true
    program = Effect.die(thrown)
  }
  const last = members.findLast(({ parent }) => parent !== undefined) ?? members.at(-1)
  if (!isFaulty && items.length > 0 && inputs.length === 0) return { _tag: "GuardSaidNo" }
  const spanOf = (path: string, run: SpanContext): SpanContext => {
    const member = byPath.get(path)
    if (member === undefined || member === last) return run
    member.span ??= newSpan(member.parent ?? run)
    return member.span
  }
  const { exit, span, writes, start } = await execute({
    fn,
    object: items.length === 1 ? describeTarget(items[0]!.target) : `${members.length} objects`,
    parent: last?.parent,
    services,
    signal,
    spanOf,
    program
  })
  const ended = judge(exit, tries, span)
  const writesOf = Map.groupBy(writes, ({ object }) => byPath.get(object) ?? last)
  const all = decisionOf(ended)
  for (const member of members) {
    const itsWrites = writesOf.get(member) ?? []
    const decision = member.told ?? all
    // What concerns an object is told in its own trace; the rest in that of the last one.
    if (itsWrites.length === 0 && (member === last ? decision : member.told) === undefined) continue
    services.record(
      recordOf({
        fn,
        ...member,
        span: spanOf(member.object, span),
        start,
        writes: itsWrites,
        ended,
        decision,
        attempt: tries.attempt,
        services
      })
    )
  }
  return ended
}
