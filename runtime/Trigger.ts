import * as Duration from "effect/Duration"
import type { Kind, KubeObject, Ref } from "./Kind.ts"
import type { View } from "./View.ts"

export type Verb = "added" | "modified" | "deleted"

/** An object's key and its present state; `now` is `undefined` when there is no such object any more. */
export interface Keyed<A> {
  readonly ref: Ref
  readonly now: A | undefined
}

/** What a timer hands to its function. `at` is milliseconds since the epoch, rounded down to the interval. */
export interface Tick {
  readonly at: number
}

/** The event that a mapping is given: the key that changed, how, and its present state. */
export interface WakeEvent<A> extends Keyed<A> {
  readonly verb: Verb
}

/**
 * Maps an event of one object to the objects of another kind that it concerns. The keys are woken in the order in
 * which they are returned. It must be pure and quick: it reads the view and nothing else.
 */
export interface Wakes<A, B extends KubeObject> {
  readonly kind: Kind<B>
  readonly keys: (event: WakeEvent<A>, view: View) => Iterable<Ref>
}

/** What wakes a function, and with what: `In` is the handler's input. */
export interface Trigger<in out In> {
  readonly _In?: (input: In) => In
  readonly source:
    | {
        readonly _tag: "Events"
        readonly kind: Kind<any>
        readonly verbs: ReadonlyArray<Verb>
        readonly specOnly: boolean
      }
    | { readonly _tag: "Timer"; readonly everyMillis: number }
  /** The kind whose objects the handler is given; `undefined` for timers. */
  readonly target: Kind<any> | undefined
  readonly gives: "object" | "key" | "tick"
  readonly map: Wakes<any, any> | undefined
}

/** A trigger on the events of a kind, which can be mapped to other objects. */
export interface EventTrigger<A extends KubeObject, In> extends Trigger<In> {
  /** Wakes other objects instead: the function is then given those, one by one. */
  readonly wakes: <B extends KubeObject>(map: Wakes<A, B>) => Trigger<B>
}

export const trigger = <A extends KubeObject, In>(
  kind: Kind<A>,
  verbs: ReadonlyArray<Verb>,
  gives: "object" | "key",
  options?: { readonly specOnly?: boolean }
): EventTrigger<A, In> => {
  const source = { _tag: "Events", kind, verbs, specOnly: options?.specOnly ?? false } as const
  return {
    source,
    target: kind,
    gives,
    map: undefined,
    wakes: (map) => ({ source, target: map.kind, gives: "object", map })
  }
}

/**
 * Wakes the function once per interval, on one of the hosts. An interval that passes while no host lives is skipped.
 */
export const every = (interval: Duration.Input): Trigger<Tick> => ({
  source: { _tag: "Timer", everyMillis: Duration.toMillis(interval) },
  target: undefined,
  gives: "tick",
  map: undefined
})
