import type * as Effect from "effect/Effect"
import type { KindId, Ref } from "../Kind.ts"
import type { KubeFailure } from "../KubeFailure.ts"

/** An object as the API server sends it. */
export interface RawObject {
  readonly [field: string]: unknown
  readonly metadata: {
    readonly name: string
    readonly namespace?: string
    readonly uid: string
    readonly resourceVersion: string
    readonly generation?: number
    readonly deletionTimestamp?: string
    readonly deletionGracePeriodSeconds?: number
    readonly finalizers?: ReadonlyArray<string>
    readonly managedFields?: ReadonlyArray<{
      readonly manager?: string
      readonly operation?: string
      readonly subresource?: string
      readonly apiVersion?: string
      readonly time?: string
    }>
  }
}

export interface WriteOptions {
  /** Who writes, in `managedFields`. */
  readonly manager: string
  readonly subresource?: "" | "status"
}

/** The verbs of the API server that we use, on raw objects. Two backends: HTTP, and memory for tests. */
export interface KubeApi {
  readonly get: (kind: KindId, ref: Ref) => Effect.Effect<RawObject, KubeFailure>
  readonly create: (
    kind: KindId,
    namespace: string,
    body: unknown,
    options: WriteOptions
  ) => Effect.Effect<RawObject, KubeFailure>
  /**
   * JSON merge patch; preconditions stand in `body.metadata` (`uid`, `resourceVersion`). Of `status`, a uid that is
   * another one by now is a `Conflict` only after the write: what must not be written to another one needs the version.
   */
  readonly mergePatch: (
    kind: KindId,
    ref: Ref,
    body: unknown,
    options: WriteOptions
  ) => Effect.Effect<RawObject, KubeFailure>
  /** Server-side apply, forced; preconditions as in `mergePatch`. */
  readonly apply: (
    kind: KindId,
    ref: Ref,
    body: unknown,
    options: WriteOptions
  ) => Effect.Effect<RawObject, KubeFailure>
  /** Answers with the object where it stays for a while: for finalizers, or a grace period. `undefined`: it is gone. */
  readonly remove: (
    kind: KindId,
    ref: Ref,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string }
  ) => Effect.Effect<RawObject | undefined, KubeFailure>
}

/** The path of a kind's collection: `/apis/GROUP/VERSION/namespaces/NS/PLURAL`. */
export const collectionPath = (kind: KindId, namespace = ""): string => {
  const root = kind.group === "" ? `/api/${kind.version}` : `/apis/${kind.group}/${kind.version}`
  const scope = kind.namespaced && namespace !== "" ? `/namespaces/${encodeURIComponent(namespace)}` : ""
  return `${root}${scope}/${kind.plural}`
}

export const objectPath = (kind: KindId, ref: Ref, subresource: "" | "status" = ""): string =>
  `${collectionPath(kind, ref.namespace)}/${encodeURIComponent(ref.name)}${subresource === "" ? "" : `/${subresource}`}`
