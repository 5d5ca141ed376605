import * as Duration from "effect/Duration"
import type { FleetEvent, FleetView } from "./Fleet.ts"
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

/** Maps what happened in the fleet to the objects that it concerns. Pure and quick, as `Wakes` is. */
export interface FleetWakes<B extends KubeObject> {
  readonly kind: Kind<B>
  readonly keys: (event: FleetEvent, view: View, fleet: FleetView) => Iterable<Ref>
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
    | {
        readonly _tag: "Fleet"
        readonly what: ReadonlyArray<FleetEvent["what"]>
        readonly keys: FleetWakes<any>["keys"]
      }
  /** The kind whose objects the handler is given; `undefined` for timers. */
  readonly target: Kind<any> | undefined
  readonly gives: "object" | "key" | "tick"
  readonly map: Wakes<any, any> | undefined
}

/** A trigger on the events of a kind, which can be mapped to other objects. */
export interface EventTrigger<A extends KubeObject, In> extends Trigger<In> {
  /** Wakes other objects instead: the function is then given those, one by one. */
  readonly wakes: <B extends KubeObject>(map: Wakes<A, B>) => Trigger<B>
  /** As `wakes`, for other objects whether they are there or not: the function is given their keys. */
  readonly touches: <B extends KubeObject>(map: Wakes<A, B>) => Trigger<Keyed<B>>
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
    wakes: (map) => ({ source, target: map.kind, gives: "object", map }),
    touches: (map) => ({ source, target: map.kind, gives: "key", map })
  }
}

/** A trigger on the fleet: it always wakes objects that are named by a mapping. */
export interface FleetTrigger {
  readonly wakes: <B extends KubeObject>(map: FleetWakes<B>) => Trigger<B>
  /** As `wakes`, for objects whether they are there or not: the function is given their keys. */
  readonly touches: <B extends KubeObject>(map: FleetWakes<B>) => Trigger<Keyed<B>>
}

/**
 * Something of this happened in the fleet. The active host alone is woken; one that becomes active is woken once for
 * everything as it is then, as if it had just happened.
 */
export const fleetChanged = (what: ReadonlyArray<FleetEvent["what"]>): FleetTrigger => {
  const from = (kind: Kind<any>, gives: "object" | "key", keys: FleetWakes<any>["keys"]) => ({
    source: { _tag: "Fleet", what, keys } as const,
    target: kind,
    gives,
    map: undefined
  })
  return {
    wakes: ({ kind, keys }) => from(kind, "object", keys),
    touches: ({ kind, keys }) => from(kind, "key", keys)
  }
}

/**
 * Wakes the function once per interval, on one of the hosts: 1 millisecond to 24 days. An interval that passes while no
 * host lives is skipped.
 */
export const every = (interval: Duration.Input): Trigger<Tick> => ({
  source: { _tag: "Timer", everyMillis: Duration.toMillis(interval) },
  target: undefined,
  gives: "tick",
  map: undefined
})
