import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Kind, type KubeObject, type Ref, refKey, resourceName } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import { own } from "../nats/own.ts"
import type { Verb } from "../Trigger.ts"
import type { Change, Index, View } from "../View.ts"

interface Table {
  readonly kind: Kind<any>
  /** `namespace/name` → object */
  readonly objects: Map<string, KubeObject>
  readonly decode: (raw: unknown) => Result.Result<KubeObject, Schema.SchemaError>
}

interface LiveIndex {
  readonly index: Index<any>
  readonly state: unknown
  readonly reads: ReadonlySet<string>
  readonly apply: (change: Change) => void
}

/** Why an index is not to be had: it threw for this object. */
interface BrokenIndex {
  readonly resource: string
  readonly key: string
  readonly error: Error
}

/** Uids of deleted objects are remembered, so that a late answer or event does not bring one back. */
const rememberedDeletions = 20_000

/**
 * The view of one process. Events come in the log's order; what this process wrote itself is put in at once, and an
 * event that is older than that is passed over. Versions are compared only within one uid.
 */
export class WorldView implements View {
  readonly #tables = new Map<string, Table>()
  readonly #indexes = new Map<string, LiveIndex>()
  readonly #broken = new Map<string, BrokenIndex>()
  readonly #deleted = new Set<string>()
  readonly #undecodable: (kind: Kind<any>, ref: Ref, problem: string) => void

  readonly #isFrozen: boolean

  /** `isFrozen`: who changes an object of the view, which is everybody's, is told by an error. In tests: it takes time. */
  constructor(
    kinds: ReadonlyArray<Kind<any>>,
    undecodable: (kind: Kind<any>, ref: Ref, problem: string) => void = () => undefined,
    isFrozen = false
  ) {
    this.#isFrozen = isFrozen
    for (const kind of kinds) {
      this.#tables.set(resourceName(kind), {
        kind,
        objects: new Map(),
        decode: Schema.decodeUnknownResult(kind.schema) as Table["decode"]
      })
    }
    this.#undecodable = undecodable
  }

  find<A extends KubeObject>(kind: Kind<A>, ref: Ref): A | undefined {
    return this.#table(kind).objects.get(refKey(ref)) as A | undefined
  }

  list<A extends KubeObject>(kind: Kind<A>): Iterable<A> {
    return this.#table(kind).objects.values() as Iterable<A>
  }

  /** @throws when the index has thrown for an object, as long as that object is what it was; when another one has its name. */
  index<S>(index: Index<S>): S {
    const broken = this.#broken.get(index.name)
    if (broken !== undefined) throw broken.error
    let live = this.#indexes.get(index.name)
    if (live === undefined) {
      const tables = index.reads.map((kind) => this.#table(kind))
      const { state, apply } = index.make()
      live = { index, state, apply, reads: new Set(index.reads.map(resourceName)) }
      this.#indexes.set(index.name, live)
      for (const { kind, objects } of tables) {
        for (const [key, after] of objects) {
          this.#apply(index.name, live, { kind, key, before: undefined, after })
        }
      }
      return this.index(index)
    }
    if (live.index !== index) {
      throw new Error(
        `two indexes are named ${index.name}: define each once, outside of handlers, by a name of its own`
      )
    }
    return live.state as S
  }

  /** How many objects of a kind there are. */
  count(kind: Kind<any>): number {
    return this.#table(kind).objects.size
  }

  /** Whether it holds this state of the object, or a newer one, or knows that the object is gone. */
  isPast(kind: Kind<any>, ref: Ref, uid: string, resourceVersion: string): boolean {
    if (this.#deleted.has(uid)) return true
    const present = this.#table(kind).objects.get(refKey(ref))?.metadata
    return present?.uid === uid && Number(resourceVersion) <= Number(present.resourceVersion)
  }

  /** Puts an event in. */
  applyEvent(kind: Kind<any>, ref: Ref, verb: Verb, uid: string, raw: RawObject): void {
    const table = this.#table(kind)
    const key = refKey(ref)
    const before = table.objects.get(key)
    if (verb === "deleted") {
      this.#rememberDeletion(uid)
      if (before?.metadata.uid === uid) this.#set(table, key, undefined)
      return
    }
    this.#put(table, key, ref, raw)
  }

  /** Puts in what the API server answered to a write of ours. */
  applyWrite<A extends KubeObject>(kind: Kind<A>, raw: RawObject): A | undefined {
    const ref = { namespace: raw.metadata.namespace ?? "", name: raw.metadata.name }
    return this.#put(this.#table(kind), refKey(ref), ref, raw) as A | undefined
  }

  /** The object was deleted by us, or found gone by a fresh read. */
  applyGone(kind: Kind<any>, ref: Ref, uid: string): void {
    this.#rememberDeletion(uid)
    const table = this.#table(kind)
    const key = refKey(ref)
    if (table.objects.get(key)?.metadata.uid === uid) this.#set(table, key, undefined)
  }

  /** A new life of the log: what it does not hold is gone, what it holds is there, though it may have been deleted before. */
  replaceAll(kind: Kind<any>, present: ReadonlyMap<string, KubeObject>): void {
    const table = this.#table(kind)
    for (const key of [...table.objects.keys()]) if (!present.has(key)) this.#set(table, key, undefined)
    for (const [key, after] of present) {
      // A cluster that was restored from a snapshot has objects again that were gone.
      this.#deleted.delete(after.metadata.uid)
      const before = table.objects.get(key)?.metadata
      // The same state again is no change: nothing derived from it needs to move.
      if (before?.uid !== after.metadata.uid || before.resourceVersion !== after.metadata.resourceVersion) {
        this.#set(table, key, after)
      }
    }
  }

  /** Decodes an object as the view would; `undefined` when it has not the kind's shape. */
  decode<A extends KubeObject>(kind: Kind<A>, raw: RawObject): A | undefined {
    const ref = { namespace: raw.metadata.namespace ?? "", name: raw.metadata.name }
    return this.#decode(this.#table(kind), ref, raw) as A | undefined
  }

  #put(table: Table, key: string, ref: Ref, raw: RawObject): KubeObject | undefined {
    const before = table.objects.get(key)
    const { uid, resourceVersion } = raw.metadata
    const after = this.#decode(table, ref, raw)
    if (after === undefined || this.#deleted.has(uid)) return after
    if (
      before !== undefined &&
      before.metadata.uid === uid &&
      Number(resourceVersion) <= Number(before.metadata.resourceVersion)
    ) {
      return after
    }
    this.#set(table, key, after)
    return after
  }

  #decode(table: Table, ref: Ref, raw: RawObject): KubeObject | undefined {
    let problem: string
    try {
      const decoded = table.decode(raw)
      if (Result.isSuccess(decoded)) {
        const object = fitted(decoded.success)
        return this.#isFrozen ? frozen(object) : object
      }
      problem = decoded.failure.message
    } catch (thrown) {
      // A schema of somebody's own, with a transformation that throws.
      problem = sayingOf(thrown)
    }
    this.#undecodable(table.kind, ref, problem)
    return undefined
  }

  #set(table: Table, key: string, after: KubeObject | undefined): void {
    const before = table.objects.get(key)
    if (after === undefined) table.objects.delete(key)
    else table.objects.set(key, after)
    const change: Change = { kind: table.kind, key, before, after }
    const resource = resourceName(table.kind)
    for (const [name, broken] of this.#broken) {
      if (broken.resource === resource && broken.key === key) this.#broken.delete(name)
    }
    for (const [name, index] of this.#indexes) if (index.reads.has(resource)) this.#apply(name, index, change)
  }

  /**
   * What an index throws is told to whoever asks for it, not to who brings the change: that would cost every function of
   * the host its events. It is made anew once the object is another one; without it, nobody acts on half of the truth.
   */
  #apply(name: string, index: LiveIndex, change: Change): void {
    if (this.#broken.has(name)) return
    try {
      index.apply(change)
    } catch (thrown) {
      const { kind, key } = change
      const message = `the index ${name} cannot take in ${resourceName(kind)}/${key}: ${sayingOf(thrown)}`
      const error = new Error(message, { cause: thrown })
      this.#broken.set(name, { resource: resourceName(kind), key, error })
      this.#indexes.delete(name)
    }
  }

  #rememberDeletion(uid: string): void {
    this.#deleted.add(own(uid))
    if (this.#deleted.size > rememberedDeletions) {
      for (const oldest of this.#deleted) {
        this.#deleted.delete(oldest)
        break
      }
    }
  }

  #table(kind: Kind<any>): Table {
    const table = this.#tables.get(resourceName(kind))
    if (table === undefined) {
      throw new Error(`${kind.kind} is not in the view: declare read(${kind.kind}) in the function's needs`)
    }
    return table
  }
}

const frozen = <A extends object>(value: A): A => {
  for (const part of Object.values(value)) if (typeof part === "object" && part !== null) frozen(part)
  return Object.freeze(value)
}

const sayingOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown))

/** Arrays that grew while they were decoded have room for 17 entries; most have one. A ninth of the view's memory. */
const fitted = <A extends object>(value: A): A => {
  const fields = value as Record<string, unknown>
  // By its keys: `for … in` is ten times as slow on objects that were built field by field, as these are.
  for (const key of Object.keys(fields)) {
    const part = fields[key]
    if (typeof part !== "object" || part === null) continue
    if (Array.isArray(part) && !Object.isFrozen(value)) fields[key] = fittedList(part.slice())
    else fitted(part)
  }
  return value
}

const fittedList = (list: Array<unknown>): Array<unknown> => {
  for (const [index, part] of list.entries()) {
    if (typeof part !== "object" || part === null) continue
    if (Array.isArray(part)) list[index] = fittedList(part.slice())
    else fitted(part)
  }
  return list
}
