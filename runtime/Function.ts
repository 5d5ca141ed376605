import type * as Effect from "effect/Effect"
import type { Disposed } from "./Disposition.ts"
import type { Kube } from "./Kube.ts"
import type { Need } from "./Needs.ts"
import type { Trigger } from "./Trigger.ts"

/** A pure, named question about the input. `extip why` names the first one that said no, so name it as a claim. */
export type Guard<In> = (input: In) => boolean

/** A function, as the host runs it. Made by `defineFunction`. */
export interface FunctionDefinition<R = Kube, E extends Disposed = Disposed> {
  readonly name: string
  readonly on: ReadonlyArray<Trigger<any>>
  readonly when: ReadonlyArray<Guard<any>>
  readonly needs: ReadonlyArray<Need>
  readonly debounceMillis: number
  readonly handle: (input: any) => Effect.Effect<string | void, E, R>
}

/** What a developer writes down of a function. */
export interface FunctionSpec<In, E extends Disposed, R> {
  /** `verb-on-event`: lower case, digits and dashes. The same string names folder, consumer, span and log. */
  readonly name: string
  /** What wakes it. All triggers hand over the same input. */
  readonly on: readonly [Trigger<In>, ...ReadonlyArray<Trigger<In>>]
  /** Says whether there is anything to do for this input. Pure; all of them must hold. */
  readonly when?: Guard<In> | ReadonlyArray<Guard<In>>
  /** The Kubernetes verbs that it may use: `[read(Service), create(IpClaim)]`. */
  readonly needs: ReadonlyArray<ReadonlyArray<Need>>
  /** At most one run per object in this many milliseconds; what comes meanwhile is one run at its end. Default 0. */
  readonly debounceMillis?: number
  /**
   * Does the work. May run twice for the same state, on two hosts at once, and may be killed at any line: every
   * write must be harmless when repeated. Returns its decision as a sentence for the trace, or nothing if it had
   * nothing to do. Failures go out through the error channel; each error says what the host does next.
   */
  readonly handle: (input: In) => Effect.Effect<string | void, E, R>
}

/** A declaration that cannot run. Thrown while the process starts, never at the first event. */
export class Misdeclared extends Error {
  override readonly name = "Misdeclared"
  readonly _tag = "Misdeclared"
}

/**
 * Declares a function. Nothing happens until a host runs it.
 *
 * @throws Misdeclared when the name is not `verb-on-event`, or a trigger's kind is not among `read(…)` in `needs`.
 */
export const defineFunction = <In, E extends Disposed, R = Kube>(
  spec: FunctionSpec<In, E, R>
): FunctionDefinition<R, E> => {
  const needs = spec.needs.flat()
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(spec.name) || spec.name.length > 63) {
    throw new Misdeclared(
      `function "${spec.name}": a name is lower-case words joined by dashes, such as "label-on-create", 63 characters at most`
    )
  }
  if (spec.on.length === 0) {
    throw new Misdeclared(`function "${spec.name}": nothing wakes it; give "on" at least one trigger`)
  }
  for (const trigger of spec.on) {
    const kinds = [trigger.source._tag === "Events" ? trigger.source.kind : undefined, trigger.target]
    for (const kind of kinds) {
      if (kind !== undefined && !needs.some((need) => need.verb === "get" && need.kind === kind)) {
        throw new Misdeclared(
          `function "${spec.name}": it is woken by or for ${kind.kind}, so "needs" must contain read(${kind.kind})`
        )
      }
    }
  }
  const when = spec.when === undefined ? [] : typeof spec.when === "function" ? [spec.when] : spec.when
  return {
    name: spec.name,
    on: spec.on,
    when,
    needs,
    debounceMillis: spec.debounceMillis ?? 0,
    handle: spec.handle
  }
}

/** @throws Misdeclared when two functions have one name: they would share a consumer, and each miss events. */
export const requireDistinctNames = (functions: ReadonlyArray<FunctionDefinition<any>>): void => {
  const seen = new Set<string>()
  for (const { name } of functions) {
    if (seen.has(name)) {
      throw new Misdeclared(`two functions are named "${name}"; a name must be the function's own`)
    }
    seen.add(name)
  }
}
