import { randomUUID } from "node:crypto"
import * as Effect from "effect/Effect"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import { AlreadyExists, Conflict, Invalid, type KubeFailure, NotFound } from "../KubeFailure.ts"
import type { Verb } from "../Trigger.ts"
import type { KubeApi, RawObject } from "./api.ts"

/** A change of the store, as a watch would tell it. */
export interface MemoryEvent {
  readonly kind: KindId
  readonly ref: Ref
  readonly verb: Verb
  readonly object: RawObject
}

type Json = { [field: string]: unknown }

const isRecord = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** RFC 7386. */
const merged = (target: unknown, patch: unknown): unknown => {
  if (!isRecord(patch)) return patch
  const result: Json = isRecord(target) ? { ...target } : {}
  for (const [field, value] of Object.entries(patch)) {
    if (value === null) delete result[field]
    else result[field] = merged(result[field], value)
  }
  return result
}

/** What a field manager has applied to the status of one object. */
interface Applied {
  /** The fields of `status`, but for `conditions`. */
  readonly fields: ReadonlyArray<string>
  /** The types of the conditions. */
  readonly conditions: ReadonlyArray<string>
}

const nothing: Applied = { fields: [], conditions: [] }

/**
 * The verbs of the API server, in memory, for tests of functions: names, uids, resource versions, generations,
 * preconditions, merge patch, and server-side apply of `status`. It validates nothing and defaults nothing: what
 * depends on that is tested on a real one. The contract suite holds it to a real one.
 */
export class MemoryApi implements KubeApi {
  readonly #objects = new Map<string, RawObject>()
  readonly #listeners = new Set<(event: MemoryEvent) => void>()
  /** Uid of an object → field manager → what it has applied. */
  readonly #applied = new Map<string, Map<string, Applied>>()
  readonly #now: () => number
  #version = 0

  /** `now` dates what is created, in milliseconds since the epoch. */
  constructor(now: () => number = Date.now) {
    this.#now = now
  }

  /** Calls back at every change, in its turn. */
  watch(listener: (event: MemoryEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** All objects of a kind. */
  list(kind: KindId): ReadonlyArray<RawObject> {
    const prefix = `${resourceName(kind)} `
    return [...this.#objects].filter(([key]) => key.startsWith(prefix)).map(([, object]) => object)
  }

  get(kind: KindId, ref: Ref): Effect.Effect<RawObject, KubeFailure> {
    return this.#async(() => this.#demand("get", kind, ref))
  }

  create(
    kind: KindId,
    namespace: string,
    body: unknown,
    _options?: unknown
  ): Effect.Effect<RawObject, KubeFailure> {
    return this.#async(() => {
      const { metadata: given, status: _, ...rest } = body as Json & { metadata: Json & { name: string } }
      const { uid: _uid, resourceVersion, generation: _generation, ...metadata } = given
      const ref = { namespace: kind.namespaced ? namespace : "", name: metadata.name }
      const operation = `create ${kind.kind} ${ref.name}`
      if (resourceVersion !== undefined) {
        throw new Invalid({ operation, detail: "resourceVersion should not be set on objects to be created" })
      }
      if (this.#objects.has(this.#key(kind, ref))) {
        throw new AlreadyExists({
          operation,
          detail: `${resourceName(kind)} "${ref.name}" already exists`
        })
      }
      return this.#put("added", kind, ref, {
        ...rest,
        metadata: {
          ...metadata,
          ...(ref.namespace === "" ? {} : { namespace: ref.namespace }),
          uid: randomUUID(),
          creationTimestamp: new Date(this.#now()).toISOString().replace(/\.\d+Z$/, "Z"),
          ...(kind.group === "" ? {} : { generation: 1 })
        }
      })
    })
  }

  mergePatch(
    kind: KindId,
    ref: Ref,
    body: unknown,
    options?: { readonly subresource?: "" | "status" }
  ): Effect.Effect<RawObject, KubeFailure> {
    return this.#async(() => {
      const before = this.#demand("patch", kind, ref)
      this.#check("patch", kind, ref, before, (body as Json)["metadata"] as Json | undefined)
      const after = merged(before, body) as Json
      return this.#update(kind, ref, before, after, options?.subresource ?? "")
    })
  }

  apply(
    kind: KindId,
    ref: Ref,
    body: unknown,
    options: { readonly manager: string; readonly subresource?: "" | "status" }
  ): Effect.Effect<RawObject, KubeFailure> {
    return this.#async(() => {
      const before = this.#demand("apply", kind, ref)
      this.#check("apply", kind, ref, before, (body as Json)["metadata"] as Json | undefined)
      const status = (body as Json)["status"] as Json
      const { conditions = [], ...fields } = status
      const mine = conditions as ReadonlyArray<{ readonly type: string }>
      const managers = this.#applied.get(before.metadata.uid) ?? new Map<string, Applied>()
      const had = managers.get(options.manager) ?? nothing
      const has = { fields: Object.keys(fields), conditions: mine.map(({ type }) => type) }
      this.#applied.set(before.metadata.uid, managers.set(options.manager, has))
      // What a manager leaves out that it had applied before is removed, unless another one applies it too.
      const owned = [...managers.values()]
      const old: Json = isRecord(before["status"]) ? { ...before["status"] } : {}
      for (const field of had.fields) if (!owned.some((one) => one.fields.includes(field))) delete old[field]
      const present = (old["conditions"] ?? []) as ReadonlyArray<{ readonly type: string }>
      const left = present.flatMap((one) => {
        if (has.conditions.includes(one.type)) return mine.filter(({ type }) => type === one.type)
        const dropped = had.conditions.includes(one.type)
        return dropped && !owned.some(({ conditions }) => conditions.includes(one.type)) ? [] : [one]
      })
      const added = mine.filter(({ type }) => !present.some((one) => one.type === type))
      const all = [...left, ...added]
      const after = { ...before, status: { ...old, ...fields, ...(all.length === 0 ? {} : { conditions: all }) } }
      return this.#update(kind, ref, before, after, options.subresource ?? "")
    })
  }

  remove(
    kind: KindId,
    ref: Ref,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {}
  ): Effect.Effect<void, KubeFailure> {
    return this.#async(() => {
      const before = this.#demand("delete", kind, ref)
      this.#check("delete", kind, ref, before, { ...preconditions })
      this.#objects.delete(this.#key(kind, ref))
      this.#version++
      const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } }
      this.#tell({ kind, ref, verb: "deleted", object })
    })
  }

  /** A real API server answers later: whoever raced gets his turn in between. */
  #async<A>(run: () => A): Effect.Effect<A, KubeFailure> {
    return Effect.andThen(Effect.yieldNow, Effect.try({ try: run, catch: (cause) => cause as KubeFailure }))
  }

  #key(kind: KindId, ref: Ref): string {
    return `${resourceName(kind)} ${refKey(ref)}`
  }

  #demand(verb: string, kind: KindId, ref: Ref): RawObject {
    const found = this.#objects.get(this.#key(kind, ref))
    if (found !== undefined) return found
    throw new NotFound({
      operation: `${verb} ${kind.kind} ${refKey(ref)}`,
      detail: `${resourceName(kind)} "${ref.name}" not found`
    })
  }

  #check(verb: string, kind: KindId, ref: Ref, before: RawObject, wanted: Json | undefined): void {
    for (const field of ["uid", "resourceVersion"] as const) {
      const value = wanted?.[field]
      if (value === undefined || value === before.metadata[field]) continue
      throw new Conflict({
        operation: `${verb} ${kind.kind} ${refKey(ref)}`,
        detail: `${field} is ${before.metadata[field]}, not ${String(value)}`
      })
    }
  }

  #update(kind: KindId, ref: Ref, before: RawObject, after: Json, subresource: "" | "status"): RawObject {
    const { status: oldStatus, ...oldMain } = before as RawObject & Json
    const { status: newStatus, ...newMain } = after
    const next: Json =
      subresource === "status" ? { ...oldMain, status: newStatus } : { ...newMain, status: oldStatus }
    if (next["status"] === undefined) delete next["status"]
    if (
      JSON.stringify({ ...next, metadata: { ...(next["metadata"] as Json), resourceVersion: "" } }) ===
      JSON.stringify({ ...before, metadata: { ...before.metadata, resourceVersion: "" } })
    ) {
      return before
    }
    const metadata = next["metadata"] as Json
    const specChanged = JSON.stringify(next["spec"]) !== JSON.stringify(before["spec"])
    if (specChanged && typeof before.metadata.generation === "number") {
      next["metadata"] = { ...metadata, generation: before.metadata.generation + 1 }
    }
    return this.#put("modified", kind, ref, next)
  }

  #put(verb: "added" | "modified", kind: KindId, ref: Ref, object: Json): RawObject {
    this.#version++
    const stored = {
      ...object,
      metadata: { ...(object["metadata"] as Json), resourceVersion: String(this.#version) }
    } as unknown as RawObject
    this.#objects.set(this.#key(kind, ref), stored)
    this.#tell({ kind, ref, verb, object: stored })
    return stored
  }

  #tell(event: MemoryEvent): void {
    for (const listener of this.#listeners) listener(event)
  }
}
