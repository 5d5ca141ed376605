import * as Schema from "effect/Schema"
import { type EventTrigger, type Keyed, trigger } from "./Trigger.ts"

/**
 * A Kubernetes object's `metadata`, as far as we use it. Times are RFC 3339 strings with seconds, as the API server
 * writes them. A kind that needs more has it in its schema: `Schema.Struct({ ...Metadata.fields, ownerReferences: … })`.
 */
export const Metadata = Schema.Struct({
  name: Schema.String,
  namespace: Schema.optionalKey(Schema.String),
  uid: Schema.String,
  resourceVersion: Schema.String,
  generation: Schema.optionalKey(Schema.Int),
  creationTimestamp: Schema.String,
  deletionTimestamp: Schema.optionalKey(Schema.String),
  finalizers: Schema.optionalKey(Schema.Array(Schema.String)),
  labels: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
  annotations: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})
export type Metadata = typeof Metadata.Type

/** What every object has. */
export interface KubeObject {
  readonly metadata: Metadata
}

/** Names one object of a kind. `namespace` is `""` for cluster-scoped kinds. */
export interface Ref {
  readonly namespace: string
  readonly name: string
}

/** What identifies a kind to the API server. `group` is `""` for the core group. */
export interface KindId {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly namespaced: boolean
}

/**
 * A kind of Kubernetes object: where it is served, the shape we read, and the triggers it offers.
 *
 * `schema` names only the fields that we use: the view keeps nothing else of an object in memory.
 */
export interface Kind<A extends KubeObject> extends KindId {
  readonly schema: Schema.Codec<A, unknown>
  /** The object was created or changed. The handler is given its present state. */
  readonly changed: EventTrigger<A, A>
  /** As `changed`, but a change of `status` or metadata alone does not wake (kinds with `metadata.generation` only). */
  readonly specChanged: EventTrigger<A, A>
  /** The object is gone. */
  readonly deleted: EventTrigger<A, Keyed<A>>
  /** Any event of this key: the handler is given the key and the present object, if there is one. */
  readonly touched: EventTrigger<A, Keyed<A>>
}

/**
 * Declares a kind.
 *
 * @example
 * const ConfigMap = defineKind({
 *   group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true,
 *   schema: Schema.Struct({ metadata: Metadata, data: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)) })
 * })
 */
export const defineKind = <A extends KubeObject>(
  definition: KindId & { readonly schema: Schema.Codec<A, any> }
): Kind<A> => {
  const self: Kind<A> = {
    ...definition,
    get changed() {
      return trigger<A, A>(self, ["added", "modified"], "object")
    },
    get specChanged() {
      return trigger<A, A>(self, ["added", "modified"], "object", { specOnly: true })
    },
    get deleted() {
      return trigger<A, Keyed<A>>(self, ["deleted"], "key")
    },
    get touched() {
      return trigger<A, Keyed<A>>(self, ["added", "modified", "deleted"], "key")
    }
  }
  return self
}

/** `<plural>.<group>`, or the plural alone for the core group: how RBAC and `kubectl` name a resource. */
export const resourceName = (kind: KindId): string =>
  kind.group === "" ? kind.plural : `${kind.plural}.${kind.group}`

/** The object's key within its kind. */
export const refOf = (object: KubeObject): Ref => ({
  namespace: object.metadata.namespace ?? "",
  name: object.metadata.name
})

/** `namespace/name`, or the name alone where there is no namespace. Unique within a kind. */
export const refKey = (ref: Ref): string => (ref.namespace === "" ? ref.name : `${ref.namespace}/${ref.name}`)
