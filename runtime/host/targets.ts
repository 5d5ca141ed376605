import type { JsMsg } from "@nats-io/jetstream"
import type { FleetEvent } from "../Fleet.ts"
import type { FunctionDefinition } from "../Function.ts"
import { asEvents } from "../fleet/asEvents.ts"
import type { FleetState } from "../fleet/state.ts"
import { type Kind, type Ref, refOf } from "../Kind.ts"
import { activeSubject, type ParsedSubject, parseSubject, parseWake, resourceToken } from "../nats/names.ts"
import { own } from "../nats/own.ts"
import type { Trigger, Verb } from "../Trigger.ts"
import { parseTraceparent } from "../trace/context.ts"
import type { View } from "../View.ts"
import { type Target, targetKey, type Woken } from "./run.ts"

/** What a message of the log is to one function. */
export type Received =
  | { readonly _tag: "Event"; readonly event: ParsedSubject }
  /** A tick or a wake-up: no state of the view is behind it. */
  | { readonly _tag: "Direct"; readonly targets: ReadonlyArray<Target> }

/** A trigger that events of the log pull. */
interface OfEvents {
  readonly trigger: Trigger<any>
  readonly source: Extract<Trigger<any>["source"], { readonly _tag: "Events" }>
}

/**
 * Told of a mapping that threw instead of saying whom to wake: for which object, and in which trace. What happened in the
 * fleet is no object.
 */
export type Faulty = (object: Target | undefined, thrown: unknown, traceparent: string | undefined) => void

const rethrow: Faulty = (_object, thrown) => {
  throw thrown
}

/** Whose end nobody tells us of is forgotten after so many others: at worst it is run for once more. */
const rememberedGenerations = 100_000

/** More objects than any cluster has of a kind that functions work on. */
const mostTargets = 500_000

/** @throws when that is no list of refs: of a function of somebody's own it is not certain. */
const refsOf = function* (mapped: Iterable<Ref>): Iterable<Ref> {
  if (typeof mapped?.[Symbol.iterator] !== "function") {
    throw new TypeError(
      "a mapping returns an iterable of refs ({ namespace, name }), not a promise or anything else"
    )
  }
  let count = 0
  for (const ref of mapped) {
    if (typeof ref?.name !== "string" || typeof ref.namespace !== "string") {
      throw new TypeError(
        "a mapping names objects by { namespace, name }; namespace is empty for cluster-wide ones"
      )
    }
    if (++count > mostTargets) throw new RangeError(`a mapping that names more than ${mostTargets} objects`)
    yield ref
  }
}

/** Says for whom a function is to run. A mapping that throws wakes nobody, and keeps no other from doing so. */
export class Targets {
  readonly #fn: FunctionDefinition<any>
  readonly #view: View
  readonly #faulty: Faulty
  /** Resource → the triggers that its events may pull */
  readonly #triggers: ReadonlyMap<string, ReadonlyArray<OfEvents>>
  /** Resources with a trigger that looks at the spec only. */
  readonly #specOnly: ReadonlySet<string>
  /** uid → the generation whose event came last, for those */
  readonly #generations = new Map<string, string>()

  constructor(fn: FunctionDefinition<any>, view: View, faulty = rethrow) {
    this.#fn = fn
    this.#faulty = faulty
    const ofEvents = fn.on.flatMap((trigger) =>
      trigger.source._tag === "Events" ? [{ trigger, source: trigger.source }] : []
    )
    this.#triggers = Map.groupBy(ofEvents, ({ source }) => resourceToken(source.kind))
    this.#specOnly = new Set(
      ofEvents.flatMap(({ source }) => (source.specOnly ? [resourceToken(source.kind)] : []))
    )
    this.#view = view
  }

  read(message: JsMsg): Received {
    const event = parseSubject(message.subject)
    if (event !== undefined) return { _tag: "Event", event }
    const wake = parseWake(message.subject)
    if (wake !== undefined) return { _tag: "Direct", targets: this.#ofWake(wake.resource, wake.ref) }
    // It only says that we are the active host.
    if (message.subject === activeSubject(this.#fn.name)) return { _tag: "Direct", targets: [] }
    const at = Number(message.headers?.get("extip-at") ?? Date.now())
    return { _tag: "Direct", targets: [{ _tag: "Tick", at }] }
  }

  /** For an event, once the view holds it. */
  ofEvent({ resource, ref, verb }: ParsedSubject, message: JsMsg): ReadonlyArray<Target> {
    const isNewSpec =
      !this.#specOnly.has(resource) ||
      this.#isNewSpec(message.headers?.get("ce-uid") ?? "", verb, message.headers?.get("ce-generation") ?? "")
    return (this.#triggers.get(resource) ?? []).flatMap(({ trigger, source }) => {
      if (!source.verbs.includes(verb)) return []
      if (source.specOnly && verb === "modified" && !isNewSpec) return []
      return this.#of(trigger, source.kind, ref, verb, message)
    })
  }

  /** For everything in the view that its triggers match, as if it had just been created. */
  all(): ReadonlyArray<Target> {
    return this.#fn.on.flatMap((trigger) => {
      const { source } = trigger
      if (source._tag !== "Events" || !source.verbs.includes("added")) return []
      return Array.from(this.#view.list(source.kind), (object) =>
        this.#of(trigger, source.kind, refOf(object as never), "added")
      ).flat()
    })
  }

  /** For something that happened in the fleet. */
  ofFleet(event: FleetEvent, fleet: FleetState): ReadonlyArray<Target> {
    return this.#fn.on.flatMap((trigger) => this.#ofTrigger(trigger, event, fleet))
  }

  /** For everything in the fleet that its triggers match, as if it had just happened. */
  allOfFleet(fleet: FleetState): ReadonlyArray<Target> {
    const targets = new Map<string, Target>()
    for (const trigger of this.#fn.on) {
      if (trigger.source._tag !== "Fleet") continue
      for (const event of asEvents(fleet, trigger.source.what)) {
        for (const target of this.#ofTrigger(trigger, event, fleet)) {
          targets.set(targetKey(target), target)
        }
      }
    }
    return [...targets.values()]
  }

  #of(trigger: Trigger<any>, kind: Kind<any>, ref: Ref, verb: Verb, message?: JsMsg): ReadonlyArray<Target> {
    const gives = trigger.gives === "key" ? "key" : "object"
    const { map } = trigger
    if (map === undefined) return [{ _tag: "Object", kind, ref, gives }]
    try {
      const event = { ref, verb, now: this.#view.find(kind, ref) }
      return Array.from(refsOf(map.keys(event, this.#view)), (mapped) => ({
        _tag: "Object",
        kind: map.kind,
        ref: mapped,
        gives
      }))
    } catch (thrown) {
      const object: Target = { _tag: "Object", kind, ref, gives: "key" }
      this.#faulty(object, thrown, message?.headers?.get("traceparent"))
      return []
    }
  }

  #ofTrigger(
    { source, target, gives }: Trigger<any>,
    event: FleetEvent,
    fleet: FleetState
  ): ReadonlyArray<Target> {
    if (source._tag !== "Fleet" || !source.what.includes(event.what)) return []
    try {
      return Array.from(refsOf(source.keys(event, this.#view, fleet)), (ref) => ({
        _tag: "Object",
        kind: target!,
        ref,
        gives: gives === "key" ? "key" : "object"
      }))
    } catch (thrown) {
      this.#faulty(undefined, thrown, undefined)
      return []
    }
  }

  #ofWake(resource: string, ref: Ref): ReadonlyArray<Target> {
    const triggers = this.#fn.on.filter(
      ({ target }) => target !== undefined && resourceToken(target) === resource
    )
    // One that hands over the object's key is asked first: the object may be gone.
    const trigger = triggers.find(({ gives }) => gives === "key") ?? triggers[0]
    if (trigger === undefined) {
      // It is not for the function itself: a mapping that threw is asked again.
      const mapped = (this.#triggers.get(resource) ?? []).filter(({ trigger }) => trigger.map !== undefined)
      return mapped.flatMap(({ trigger, source }) => this.#of(trigger, source.kind, ref, source.verbs[0]!))
    }
    return [{ _tag: "Object", kind: trigger.target!, ref, gives: trigger.gives === "key" ? "key" : "object" }]
  }

  #isNewSpec(uid: string, verb: Verb, generation: string): boolean {
    if (verb === "deleted") this.#generations.delete(uid)
    if (verb === "deleted" || generation === "") return true
    if (this.#generations.get(uid) === generation) return false
    this.#generations.set(own(uid), generation)
    if (this.#generations.size > rememberedGenerations) {
      for (const oldest of this.#generations.keys()) {
        this.#generations.delete(oldest)
        break
      }
    }
    return true
  }
}

/** What the event's headers tell of who made the change. */
export const wokenBy = (message: JsMsg): Woken => {
  // In one pass: the client goes through all names for each that is asked for.
  const headers = new Map(message.headers ?? [])
  const header = (name: string) => own(headers.get(name)?.[0] ?? "")
  const manager = header("ce-manager")
  const parent = parseTraceparent(header("traceparent"))
  return {
    sequence: message.seq,
    uid: header("ce-uid"),
    resourceVersion: message.subject.endsWith(".deleted") ? "deleted" : header("ce-resourceversion"),
    at: Date.parse(header("ce-time")) || 0,
    ...(manager === ""
      ? {}
      : { by: { manager, operation: header("ce-operation"), at: header("ce-changedat") } }),
    ...(parent === undefined ? {} : { parent })
  }
}
