import { randomUUID } from "node:crypto"
import { isDeepStrictEqual } from "node:util"
import * as Effect from "effect/Effect"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import { AlreadyExists, Invalid, type KubeFailure, NotFound } from "../KubeFailure.ts"
import type { Verb } from "../Trigger.ts"
import type { KubeApi, RawObject } from "./api.ts"
import { AppliedStatus } from "./appliedStatus.ts"
import { type Json, merged } from "./mergePatch.ts"
import { requireState } from "./precondition.ts"

/** A change of the store, as a watch would tell it. */
export interface MemoryEvent {
  readonly kind: KindId
  readonly ref: Ref
  readonly verb: Verb
  readonly object: RawObject
}

/**
 * The verbs of the API server, in memory, for tests of functions: names, uids, resource versions, generations,
 * preconditions, merge patch, and server-side apply of `status`. It defaults nothing, and validates nothing but that an
 * ingress is a LoadBalancer's: what depends on that is tested on a real one. The contract suite holds it to a real one.
 */
export class MemoryApi implements KubeApi {
  readonly #objects = new Map<string, RawObject>()
  readonly #listeners = new Set<(event: MemoryEvent) => void>()
  readonly #applied = new AppliedStatus()
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
          ...withoutEmpty(metadata),
          ...(ref.namespace === "" ? {} : { namespace: ref.namespace }),
          uid: randomUUID(),
          creationTimestamp: this.#time(),
          ...(hasGeneration(kind) ? { generation: 1 } : {})
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
      return this.#write("patch", kind, ref, before, merged(before, body) as Json, body, options?.subresource)
    })
  }

  /** Of `status` only. */
  apply(
    kind: KindId,
    ref: Ref,
    body: unknown,
    options: { readonly manager: string; readonly subresource?: "" | "status" }
  ): Effect.Effect<RawObject, KubeFailure> {
    return this.#async(() => {
      const before = this.#demand("apply", kind, ref)
      const { uid } = before.metadata
      const status = this.#applied.apply(
        uid,
        options.manager,
        before["status"],
        (body as Json)["status"] as Json
      )
      return this.#write("apply", kind, ref, before, { ...before, status }, body, "status")
    })
  }

  remove(
    kind: KindId,
    ref: Ref,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {}
  ): Effect.Effect<RawObject | undefined, KubeFailure> {
    return this.#async(() => {
      const before = this.#demand("delete", kind, ref)
      requireState("delete", kind, ref, before, { ...preconditions })
      const { metadata } = before
      if (metadata.finalizers === undefined) return this.#drop(kind, ref, before)
      if (metadata.deletionTimestamp !== undefined) return before
      const { generation } = metadata
      const counted = generation === undefined ? {} : { generation: generation + 1 }
      const marked = { deletionGracePeriodSeconds: 0, deletionTimestamp: this.#time() }
      return this.#put("modified", kind, ref, { ...before, metadata: { ...metadata, ...counted, ...marked } })
    })
  }

  #drop(kind: KindId, ref: Ref, before: RawObject): undefined {
    this.#objects.delete(this.#key(kind, ref))
    this.#version++
    const object = { ...before, metadata: { ...before.metadata, resourceVersion: String(this.#version) } }
    this.#tell({ kind, ref, verb: "deleted", object })
  }

  #time(): string {
    return new Date(this.#now()).toISOString().replace(/\.\d+Z$/, "Z")
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

  #write(
    verb: string,
    kind: KindId,
    ref: Ref,
    before: RawObject,
    after: Json,
    body: unknown,
    subresource: "" | "status" = ""
  ): RawObject {
    const wanted = (body as Json)["metadata"] as Json | undefined
    if (subresource === "") {
      requireState(verb, kind, ref, before, wanted)
      const status = before["status"] as Json | undefined
      const kept = isMisplaced(kind, after["spec"], status) ? { ...status, loadBalancer: {} } : status
      return this.#update(kind, ref, before, { ...after, status: kept })
    }
    // As the API server does: it looks at the version only, and that the uid is another one is seen in its answer.
    requireState(verb, kind, ref, before, wanted, ["resourceVersion"])
    if (isMisplaced(kind, before["spec"], after["status"])) {
      throw new Invalid({
        operation: `${verb} ${kind.kind} ${refKey(ref)}`,
        detail: "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
      })
    }
    const written = this.#update(kind, ref, before, { ...before, status: after["status"] })
    requireState(verb, kind, ref, before, wanted)
    return written
  }

  #update(kind: KindId, ref: Ref, before: RawObject, after: Json): RawObject {
    const metadata: Json = {
      ...withoutEmpty(after["metadata"] as Json),
      resourceVersion: before.metadata.resourceVersion
    }
    const next: Json = { ...after, metadata }
    if (next["status"] === undefined) delete next["status"]
    if (isDeepStrictEqual(next, before)) return before
    if (metadata["deletionTimestamp"] !== undefined && metadata["finalizers"] === undefined) {
      this.#drop(kind, ref, before)
      return next as unknown as RawObject
    }
    const { generation } = before.metadata
    if (generation !== undefined && !isDeepStrictEqual(counted(next), counted(before))) {
      metadata["generation"] = generation + 1
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

/** Whether there is an ingress in the status of a Service that is no LoadBalancer: the API server has none of that. */
const isMisplaced = (kind: KindId, spec: unknown, status: unknown): boolean => {
  if (resourceName(kind) !== "services" || (spec as Json | undefined)?.["type"] === "LoadBalancer")
    return false
  const balancer = (status as Json | undefined)?.["loadBalancer"] as
    | { ingress?: ReadonlyArray<unknown> }
    | undefined
  return (balancer?.ingress ?? []).length > 0
}

/** As the API server writes them: a map or list without entries is not there. */
const withoutEmpty = <A extends Json>(metadata: A): A => {
  const kept: Json = { ...metadata }
  for (const field of ["labels", "annotations", "finalizers"]) {
    if (Object.keys(kept[field] ?? {}).length === 0) delete kept[field]
  }
  return kept as A
}

/** Kubernetes' own groups whose kinds have none; all others have one, custom resources too. */
const withoutGeneration = new Set([
  "",
  "authentication.k8s.io",
  "authorization.k8s.io",
  "autoscaling",
  "certificates.k8s.io",
  "coordination.k8s.io",
  "events.k8s.io",
  "node.k8s.io",
  "rbac.authorization.k8s.io",
  "scheduling.k8s.io",
  "storage.k8s.io"
])
const hasGeneration = ({ group }: KindId): boolean => !withoutGeneration.has(group)

/** What a generation is of: all but metadata and status. */
const counted = ({ metadata: _, status: __, ...rest }: Json): Json => rest
