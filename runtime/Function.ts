import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Disposed } from "./Disposition.ts"
import { type Kind, type KubeObject, type Ref, resourceName } from "./Kind.ts"
import type { Kube } from "./Kube.ts"
import type { FleetNeed, Need } from "./Needs.ts"
import type { Keyed, Trigger } from "./Trigger.ts"

/** A pure, named question about the input. `extip why` names the first one that said no, so name it as a claim. */
export type Guard<In> = (input: In) => boolean

/** How the targets of a batch function are gathered. */
export interface Batch {
  /** So many milliseconds after the first. */
  readonly afterMillis: number
  /** As many at once at most. */
  readonly most: number
}

/** A function, as the host runs it. Made by `defineFunction` and `defineBatchFunction`. */
export interface FunctionDefinition<R = Kube, E extends Disposed = Disposed> {
  readonly name: string
  readonly on: ReadonlyArray<Trigger<any>>
  readonly when: ReadonlyArray<Guard<any>>
  readonly needs: ReadonlyArray<Need>
  /** What it may do with the fleet. */
  readonly fleet: "none" | FleetNeed["fleet"]
  readonly debounceMillis: number
  /** `undefined` for a function that is given one object at a time. */
  readonly batch: Batch | undefined
  /** `tell` is given to batch functions. */
  readonly handle: (input: any, tell?: any) => Effect.Effect<string | void, E, R>
}

/**
 * Says what a batch's run decided on one of its objects, as a sentence for that object's own trace. Of an object that
 * is not in the batch nothing is told.
 */
export type Tell = (ref: Ref, decision: string) => Effect.Effect<void>

/** What a developer writes down of a function. */
export interface FunctionSpec<In, E extends Disposed, R> {
  /** `verb-on-event`: lower case, digits and dashes. The same string names folder, consumer, span and log. */
  readonly name: string
  /** What wakes it. All triggers hand over the same input. */
  readonly on: readonly [Trigger<In>, ...ReadonlyArray<Trigger<In>>]
  /** Says whether there is anything to do for this input. Pure; all of them must hold. */
  readonly when?: Guard<In> | ReadonlyArray<Guard<In>>
  /** What it may use: Kubernetes verbs and the fleet: `[read(Service), create(IpClaim), seeFleet]`. */
  readonly needs: ReadonlyArray<ReadonlyArray<Need | FleetNeed>>
  /** At most one run per object in this many milliseconds; what comes meanwhile is one run at its end. Default 0. */
  readonly debounceMillis?: number
  /**
   * Does the work. May run twice for the same state, on two hosts at once, and may be killed at any line: every
   * write must be harmless when repeated. Returns its decision as a sentence for the trace, or nothing if it had
   * nothing to do. Failures go out through the error channel; each error says what the host does next.
   */
  readonly handle: (input: In) => Effect.Effect<string | void, E, R>
}

/** What a developer writes down of a function that is given many objects at once. */
export interface BatchFunctionSpec<A extends KubeObject, E extends Disposed, R>
  extends Omit<FunctionSpec<Keyed<A>, E, R>, "debounceMillis" | "handle"> {
  /** Default: what comes within 5 ms, 1,000 at most. */
  readonly batch?: Partial<Batch>
  /**
   * As a function's, for all objects that were woken meanwhile, each once; those that `when` says no to are left out.
   * One run at a time. When it fails, all of them are kept, and run again as the error says; after faults of ours in
   * ever smaller batches, so that one object does not keep others out. A batch that is rejected gets no Event.
   *
   * An object's trace has the run when it was written, or when something was told of it (`tell`); the last one's has it
   * when a decision was returned.
   */
  readonly handle: (objects: ReadonlyArray<Keyed<A>>, tell: Tell) => Effect.Effect<string | void, E, R>
}

/** A declaration that cannot run. Thrown while the process starts, never at the first event. */
export class Misdeclared extends Error {
  override readonly name = "Misdeclared"
  readonly _tag = "Misdeclared"
}

/**
 * Declares a function. Nothing happens until a host runs it.
 *
 * @throws Misdeclared when the name is not `verb-on-event`, something that wakes it is not among `needs`, or an interval
 * is none.
 */
export const defineFunction = <In, E extends Disposed, R = Kube>(
  spec: FunctionSpec<In, E, R>
): FunctionDefinition<R, E> => ({
  ...declared(spec),
  debounceMillis: spec.debounceMillis ?? 0,
  batch: undefined,
  handle: spec.handle
})

/**
 * Declares a function that is given many objects at once: `IpClaim.touched`, `Node.changed.touches(…)` and
 * `fleetChanged(["lost"]).touches(…)` wake it.
 *
 * @throws Misdeclared as `defineFunction`, and when a trigger gives no key, or the batch no room.
 */
export const defineBatchFunction = <A extends KubeObject, E extends Disposed, R = Kube>(
  spec: BatchFunctionSpec<A, E, R>
): FunctionDefinition<R, E> => {
  const common = declared(spec)
  const { afterMillis = 5, most = 1_000 } = spec.batch ?? {}
  if (common.on.some(({ gives }) => gives !== "key")) {
    throw new Misdeclared(
      `function "${spec.name}": a batch is made of keys; use "touched", "deleted" or "touches" in "on"`
    )
  }
  if (new Set(common.on.map(({ target }) => target)).size > 1) {
    throw new Misdeclared(`function "${spec.name}": a batch is made of objects of one kind`)
  }
  if (!(afterMillis >= 0) || !(most >= 1)) {
    throw new Misdeclared(
      `function "${spec.name}": "batch" takes afterMillis of 0 or more, and "most" of 1 or more`
    )
  }
  return { ...common, debounceMillis: 0, batch: { afterMillis, most }, handle: spec.handle }
}

/** A timer has 31 bits. */
const longestIntervalMillis = 24 * 86_400_000

type Declaration = Pick<FunctionSpec<any, any, any>, "name" | "on" | "when" | "needs">

const declared = (spec: Declaration) => {
  const all = spec.needs.flat()
  const needs = all.filter((need) => "verb" in need)
  const ofFleet = all.filter((need) => "fleet" in need)
  const fleet =
    ofFleet.length === 0 ? "none" : ofFleet.some((need) => need.fleet === "places") ? "places" : "sees"
  if (!/^[a-z][a-z0-9]*(-[a-z0-9]+)*$/.test(spec.name) || spec.name.length > 63) {
    throw new Misdeclared(
      `function "${spec.name}": a name is lower-case words joined by dashes, such as "label-on-create", 63 characters at most`
    )
  }
  if (spec.on.length === 0) {
    throw new Misdeclared(`function "${spec.name}": nothing wakes it; give "on" at least one trigger`)
  }
  for (const { source, target } of spec.on) {
    for (const kind of [source._tag === "Events" ? source.kind : undefined, target]) {
      if (kind !== undefined && !needs.some((need) => need.verb === "watch" && need.kind === kind)) {
        throw new Misdeclared(
          `function "${spec.name}": it is woken by or for ${kind.kind}, so "needs" must contain read(${kind.kind})`
        )
      }
    }
    if (
      source._tag === "Timer" &&
      !(source.everyMillis >= 1 && source.everyMillis <= longestIntervalMillis)
    ) {
      throw new Misdeclared(
        `function "${spec.name}": "every" takes an interval of 1 millisecond to 24 days, not ${source.everyMillis} ms`
      )
    }
    if (source._tag === "Fleet" && fleet === "none") {
      throw new Misdeclared(
        `function "${spec.name}": it is woken by the fleet, so "needs" must contain seeFleet or place`
      )
    }
  }
  const when = spec.when === undefined ? [] : typeof spec.when === "function" ? [spec.when] : spec.when
  return { name: spec.name, on: spec.on, when, needs, fleet } as const
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

type Declared = Pick<FunctionDefinition<any>, "name" | "needs">

/**
 * @throws Misdeclared when functions of one host declare a resource each for itself: the view holds it in one shape, and
 * whoever expects another one would find it without what he reads.
 */
export const requireOneKindEach = (functions: ReadonlyArray<Declared>): void =>
  requireAlike(functions, isOneShape, [
    "in different shapes, and a host holds one",
    'import it from one place ("extip/kinds", if it is there), export them from one function.ts, or host one of them apart with --only'
  ])

const isOneShape = (one: Kind<any>, other: Kind<any>): boolean =>
  one === other ||
  (one.version === other.version && one.namespaced === other.namespaced && shapeOf(one) === shapeOf(other))

/** Two functions may each have a copy of one declaration. */
const shapeOf = ({ schema }: Kind<any>): string => JSON.stringify(Schema.toJsonSchemaDocument(schema))

/** @throws Misdeclared when functions read a resource in different versions: the bridge publishes one. */
export const requireOneVersionEach = (functions: ReadonlyArray<Declared>): void =>
  requireAlike(functions, ({ version }, other) => version === other.version, [
    "in different versions, and the bridge publishes one",
    "declare the same"
  ])

const requireAlike = (
  functions: ReadonlyArray<Declared>,
  isAlike: (one: Kind<any>, other: Kind<any>) => boolean,
  [why, remedy]: readonly [string, string]
): void => {
  /** Resource → its first declaration, and whose that is */
  const declared = new Map<string, { readonly kind: Kind<any>; readonly by: string }>()
  for (const { name, needs } of functions) {
    for (const { kind } of needs) {
      const resource = resourceName(kind)
      const first = declared.get(resource)
      if (first === undefined) declared.set(resource, { kind, by: name })
      else if (!isAlike(first.kind, kind)) {
        const who =
          first.by === name ? `function "${name}" declares` : `functions "${first.by}" and "${name}" declare`
        throw new Misdeclared(`${who} ${resource} ${why}: ${remedy}`)
      }
    }
  }
}
