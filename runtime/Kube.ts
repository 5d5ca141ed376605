import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type { Kind, KubeObject, Ref } from "./Kind.ts"
import type { KubeFailure } from "./KubeFailure.ts"
import type { View } from "./View.ts"

/** A JSON merge patch (RFC 7386): `null` removes a field, lists are replaced whole. */
export type MergePatch = { readonly [field: string]: unknown }

/**
 * The state that a write is made for. The API server refuses it (`Conflict`) when the object is another one by now
 * (`uid`) or has changed (`resourceVersion`).
 */
export interface Precondition {
  readonly uid: string
  readonly resourceVersion?: string
}

/** A Kubernetes Event on an object. */
export interface EventNote {
  readonly type: "Normal" | "Warning"
  /** CamelCase, as `kubectl describe` shows it. */
  readonly reason: string
  readonly message: string
  /** The Event is written once for each value of this; default: the message. */
  readonly once?: string
}

/** What a new object is made of; the API server adds the rest of the metadata. */
export type New<A extends KubeObject> = Omit<A, "metadata" | "status"> & {
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly labels?: { readonly [name: string]: string }
    readonly annotations?: { readonly [name: string]: string }
  }
}

/**
 * Kubernetes, as a function sees it: the view to decide by, and the API server to read fresh and to write.
 *
 * A write that the function has not declared in `needs` is refused before it reaches the network (a defect). What
 * has been written is in the view at once; after `Conflict`, `AlreadyExists` or `NotFound` the object is read fresh into
 * the view before the error is seen.
 */
export class Kube extends Context.Service<
  Kube,
  View & {
    /**
     * Reads from the API server itself. `undefined` when there is no such object; a defect when it has not the kind's shape.
     */
    readonly get: <A extends KubeObject>(kind: Kind<A>, ref: Ref) => Effect.Effect<A | undefined, KubeFailure>
    /** Fails with `AlreadyExists` when the name is taken: this is the lock on a name. */
    readonly create: <A extends KubeObject>(kind: Kind<A>, object: New<A>) => Effect.Effect<A, KubeFailure>
    /** Changes the object under the precondition; `Conflict` or `NotFound` when it does not hold. */
    readonly patch: <A extends KubeObject>(
      kind: Kind<A>,
      ref: Ref,
      precondition: Precondition,
      patch: MergePatch
    ) => Effect.Effect<A, KubeFailure>
    /** As `patch`, of the subresource `status`. */
    readonly patchStatus: <A extends KubeObject>(
      kind: Kind<A>,
      ref: Ref,
      precondition: Precondition,
      status: MergePatch
    ) => Effect.Effect<A, KubeFailure>
    /** Server-side apply of `status`, owned by this function: fields that other functions own stay as they are. */
    readonly applyStatus: <A extends KubeObject>(
      kind: Kind<A>,
      ref: Ref,
      precondition: Precondition,
      status: MergePatch
    ) => Effect.Effect<A, KubeFailure>
    /**
     * Deletes the object under the precondition. One with finalizers, or a grace period, stays until they are over, with
     * a `deletionTimestamp`. An object that is gone already is no failure.
     */
    readonly remove: <A extends KubeObject>(
      kind: Kind<A>,
      ref: Ref,
      precondition: Precondition
    ) => Effect.Effect<void, KubeFailure>
    /** Queues a Kubernetes Event: off the critical path, once per change, rate-limited. */
    readonly note: <A extends KubeObject>(kind: Kind<A>, object: A, event: EventNote) => Effect.Effect<void>
    /**
     * Wakes another function for an object, as if the object had changed. It is on record when this returns. No host
     * need run that function now, or ever.
     */
    readonly wake: <A extends KubeObject>(
      functionName: string,
      kind: Kind<A>,
      ref: Ref
    ) => Effect.Effect<void, KubeFailure>
  }
>()("extip/Kube") {}
