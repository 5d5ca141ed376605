import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { FleetEvent } from "../Fleet.ts"
import { type FunctionDefinition, requireDistinctNames, requireOneKindEach } from "../Function.ts"
import { type FleetChange, MemoryFleet } from "../fleet/memory.ts"
import { FleetState } from "../fleet/state.ts"
import { type Kind, type KindId, type KubeObject, type Ref, refKey, resourceName } from "../Kind.ts"
import type { EventNote } from "../Kube.ts"
import type { KubeFailure } from "../KubeFailure.ts"
import type { KubeApi, RawObject } from "../kube/api.ts"
import { MemoryApi, type MemoryEvent } from "../kube/memory.ts"
import type { SpanRecord } from "../trace/span.ts"
import { kindsOf } from "./kinds.ts"
import { type Ended, type RunServices, runOnce, type Target, targetKey } from "./run.ts"
import { runBatch } from "./runBatch.ts"
import { Targets } from "./targets.ts"
import type { Tries } from "./work.ts"
import { WorldView } from "./worldView.ts"

export interface TestClusterOptions {
  /** What handlers need beside `Kube` and `Fleet`. */
  readonly context?: Context.Context<never>
  /** Kinds beyond those that the functions read. */
  readonly kinds?: ReadonlyArray<Kind<any>>
  /** The store; by default an empty one. Two clusters on one store are two hosts. */
  readonly api?: MemoryApi
  /** The nodes, in the same way; by default none. */
  readonly fleet?: MemoryFleet
  /** Puts faults between the functions and the store. */
  readonly through?: (api: KubeApi) => KubeApi
}

interface Queued extends Tries {
  readonly fn: FunctionDefinition<any>
  readonly target: Target
}

const keyOf = ({ fn, target }: Queued): string => `${fn.name} ${targetKey(target)}`

/** One run of a function, and how it ended. */
export interface TestRun {
  readonly function: string
  /** `plural/namespace/name`; those of a batch with spaces between them. */
  readonly target: string
  readonly ended: Ended
}

/** A Kubernetes Event that a function asked for. */
export interface TestNote extends EventNote {
  readonly object: string
  readonly by: string
}

/**
 * A cluster in memory with functions on it. Nothing runs by itself: `settle` runs what the changes so far have woken,
 * until nothing is left, as a host would: in order per object, what failed again at once, ten times at most.
 */
export class TestCluster {
  readonly api: MemoryApi
  readonly view: WorldView
  /** The nodes: what they do, tests say. */
  readonly fleet: MemoryFleet
  /** The fleet as this host sees it. */
  readonly fleetView = new FleetState()
  /** Every run so far. */
  readonly runs: Array<TestRun> = []
  /** What the runs so far leave in the traces of their objects. */
  readonly spans: Array<SpanRecord> = []
  /** Every Kubernetes Event so far, each once. */
  readonly notes: Array<TestNote> = []
  readonly #functions: ReadonlyArray<FunctionDefinition<any>>
  readonly #services: RunServices
  readonly #kinds: ReadonlyArray<Kind<any>>
  /** `function object` → the generation that its triggers on specs have seen last. */
  readonly #generations = new Map<string, unknown>()
  /** `function object` → what is to be run */
  readonly #queue = new Map<string, Queued>()
  #unseen: Array<() => void> = []
  #paused = false

  constructor(functions: ReadonlyArray<FunctionDefinition<any>>, options: TestClusterOptions = {}) {
    requireDistinctNames(functions)
    requireOneKindEach(functions)
    this.#functions = functions
    this.api = options.api ?? new MemoryApi()
    this.#kinds = [...new Set([...kindsOf(functions), ...(options.kinds ?? [])])]
    const undecodable = (kind: Kind<any>, ref: Ref, problem: string): void => {
      throw new Error(`${kind.kind} ${refKey(ref)} has not the kind's shape: ${problem}`)
    }
    // A handler that changes what it is given changes it for all: here it fails.
    this.view = new WorldView(this.#kinds, undecodable, true)
    for (const kind of this.#kinds) {
      for (const object of this.api.list(kind)) this.view.applyWrite(kind, object)
    }
    const live = (see: () => void) => {
      if (this.#paused) this.#unseen.push(see)
      else see()
    }
    this.api.watch((event) => live(() => this.#see(event)))
    this.fleet = options.fleet ?? new MemoryFleet()
    this.fleet.follow((change: FleetChange) => live(() => change(this.fleetView)))
    // As on NATS: what was there before wakes a host that becomes active, see `wakeAll`.
    this.fleetView.listen((event) => this.#seeFleet(event))
    this.fleetView.onWhole(() => this.#wakeFleet())
    this.#services = {
      api: options.through?.(this.api) ?? this.api,
      view: this.view,
      note: (kind, object, by, note) => this.#note(kind, object, by, note),
      wake: async (name, kind, ref) => {
        for (const fn of this.#functions) if (fn.name === name) this.#wake(fn, this.#targetFor(fn, kind, ref))
      },
      record: (span) => this.spans.push(span),
      caused: () => undefined,
      causeOf: () => undefined,
      host: "test",
      fleet: this.fleet.access(this.fleetView),
      context: options.context ?? (Context.empty() as Context.Context<never>)
    }
  }

  /** Creates an object as a user would. Its kind's defaults are yours to write. */
  create<A extends KubeObject>(kind: Kind<A>, object: object): Effect.Effect<A, KubeFailure> {
    const { metadata, status } = object as {
      metadata: { namespace?: string; name: string }
      status?: unknown
    }
    const ref = { namespace: metadata.namespace ?? "", name: metadata.name }
    const created = this.api.create(kind, ref.namespace, object)
    const whole =
      status === undefined
        ? created
        : Effect.andThen(created, this.api.mergePatch(kind, ref, { status }, { subresource: "status" }))
    return whole.pipe(Effect.map((raw) => this.#decode(kind, raw)))
  }

  /** Changes an object by a JSON merge patch, as a user would. */
  patch<A extends KubeObject>(kind: Kind<A>, ref: Ref, patch: object): Effect.Effect<A, KubeFailure> {
    return this.api.mergePatch(kind, ref, patch).pipe(Effect.map((raw) => this.#decode(kind, raw)))
  }

  /** Deletes an object, as a user would. */
  delete(kind: KindId, ref: Ref): Effect.Effect<void, KubeFailure> {
    return Effect.asVoid(this.api.remove(kind, ref))
  }

  /** The object as it is in the store; `undefined` when there is none. */
  now<A extends KubeObject>(kind: Kind<A>, ref: Ref): A | undefined {
    const raw = this.api
      .list(kind)
      .find(({ metadata }) => metadata.name === ref.name && (metadata.namespace ?? "") === ref.namespace)
    return raw === undefined ? undefined : this.#decode(kind, raw)
  }

  /** All objects of a kind in the store. */
  all<A extends KubeObject>(kind: Kind<A>): ReadonlyArray<A> {
    return this.api.list(kind).map((raw) => this.#decode(kind, raw))
  }

  /** From now on the view stays as it is, whatever others write: a stale view. `catchUp` ends it. */
  goStale(): void {
    this.#paused = true
  }

  catchUp(): void {
    this.#paused = false
    for (const see of this.#unseen.splice(0)) see()
  }

  /** Wakes every function for everything that its triggers match, as a new consumer does. */
  wakeAll(): void {
    for (const fn of this.#functions) {
      for (const trigger of fn.on) {
        if (trigger.source._tag !== "Events") continue
        for (const object of this.api.list(trigger.source.kind)) {
          const ref = { namespace: object.metadata.namespace ?? "", name: object.metadata.name }
          this.#trigger(fn, { kind: trigger.source.kind, ref, verb: "added", object })
        }
      }
    }
    this.#wakeFleet()
  }

  /** Runs the timers' functions once. */
  tick(at = Date.now()): void {
    for (const fn of this.#functions) {
      if (fn.on.some(({ source }) => source._tag === "Timer")) this.#wake(fn, { _tag: "Tick", at })
    }
  }

  /** Runs everything that has been woken, `concurrency` at a time, until nothing is left. */
  readonly settle = (concurrency = 1): Effect.Effect<void> =>
    Effect.gen({ self: this }, function* () {
      while (this.#queue.size > 0) {
        const jobs: Array<Promise<void>> = []
        for (const [key, item] of this.#queue) {
          if (jobs.length >= concurrency) break
          this.#queue.delete(key)
          jobs.push(item.fn.batch === undefined ? this.#run(item) : this.#runBatch(item))
        }
        yield* Effect.promise(() => Promise.all(jobs))
      }
    })

  async #run(item: Queued): Promise<void> {
    this.#ended([item], await runOnce(item.fn, item.target, item, undefined, this.#services))
  }

  async #runBatch(first: Queued): Promise<void> {
    const { fn } = first
    const items = [first]
    for (const [key, item] of this.#queue) {
      if (item.fn !== fn || items.length >= fn.batch!.most) continue
      this.#queue.delete(key)
      items.push(item)
    }
    const targets = items.map(({ target }) => ({ target, woken: undefined }))
    const attempt = Math.max(...items.map((item) => item.attempt))
    const faults = Math.max(...items.map((item) => item.faults))
    this.#ended(items, await runBatch(fn, targets, { attempt, faults }, this.#services))
  }

  #ended(items: ReadonlyArray<Queued>, ended: Ended): void {
    const target = items.map((item) => targetKey(item.target)).join(" ")
    this.runs.push({ function: items[0]!.fn.name, target, ended })
    if (ended._tag !== "Again") return
    for (const item of items) {
      const faults = ended.isFault === true ? item.faults + 1 : 0
      if (item.attempt < 10) this.#queue.set(keyOf(item), { ...item, attempt: item.attempt + 1, faults })
    }
  }

  #seeFleet(event: FleetEvent): void {
    for (const fn of this.#functions) {
      for (const target of new Targets(fn, this.view).ofFleet(event, this.fleetView)) this.#wake(fn, target)
    }
  }

  #wakeFleet(): void {
    for (const fn of this.#functions) {
      for (const target of new Targets(fn, this.view).allOfFleet(this.fleetView)) this.#wake(fn, target)
    }
  }

  #see({ kind, ref, verb, object }: MemoryEvent): void {
    const known = this.#kinds.find((one) => resourceName(one) === resourceName(kind))
    if (known === undefined) return
    this.view.applyEvent(known, ref, verb, object.metadata.uid, object)
    for (const fn of this.#functions) this.#trigger(fn, { kind, ref, verb, object })
  }

  #trigger(fn: FunctionDefinition<any>, { kind, ref, verb, object }: MemoryEvent): void {
    const { uid, generation } = object.metadata
    const specKey = `${fn.name} ${resourceName(kind)} ${uid}`
    const isNewSpec =
      verb !== "modified" || generation === undefined || this.#generations.get(specKey) !== generation
    this.#generations.set(specKey, generation)
    for (const trigger of fn.on) {
      const { source } = trigger
      if (source._tag !== "Events" || resourceName(source.kind) !== resourceName(kind)) continue
      if (!source.verbs.includes(verb) || (source.specOnly && !isNewSpec)) continue
      const gives = trigger.gives === "key" ? "key" : "object"
      if (trigger.map === undefined) this.#wake(fn, { _tag: "Object", kind: source.kind, ref, gives })
      else {
        const mapped = trigger.map.keys({ ref, verb, now: this.view.find(source.kind, ref) }, this.view)
        for (const one of mapped) this.#wake(fn, { _tag: "Object", kind: trigger.map.kind, ref: one, gives })
      }
    }
  }

  #wake(fn: FunctionDefinition<any>, target: Target | undefined): void {
    if (target === undefined) return
    const item = { fn, target, attempt: 1, faults: 0 }
    const key = keyOf(item)
    if (!this.#queue.has(key)) this.#queue.set(key, item)
  }

  #targetFor(fn: FunctionDefinition<any>, kind: KindId, ref: Ref): Target | undefined {
    const triggers = fn.on.filter(
      ({ target }) => target !== undefined && resourceName(target) === resourceName(kind)
    )
    const trigger = triggers.find(({ gives }) => gives === "key") ?? triggers[0]
    if (trigger === undefined) return undefined
    return { _tag: "Object", kind: trigger.target!, ref, gives: trigger.gives === "key" ? "key" : "object" }
  }

  #note(kind: KindId, object: KubeObject, by: string, note: EventNote): void {
    const path = `${resourceName(kind)}/${refKey({ namespace: object.metadata.namespace ?? "", name: object.metadata.name })}`
    const said = this.notes.some(
      (one) =>
        one.object === path &&
        one.reason === note.reason &&
        (one.once ?? one.message) === (note.once ?? note.message)
    )
    if (!said) this.notes.push({ ...note, object: path, by })
  }

  #decode<A extends KubeObject>(kind: Kind<A>, raw: RawObject): A {
    const known = this.#kinds.includes(kind) ? this.view : new WorldView([kind])
    return known.decode(kind, raw)!
  }
}
