import * as Effect from "effect/Effect"
import { IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import type { KindId, Ref } from "../../runtime/Kind.ts"
import type { KubeApi, RawObject } from "../../runtime/kube/api.ts"

/** A custom resource that keeps what is not in its `spec`. */
export const Paint: KindId = {
  group: "contract.example",
  version: "v1",
  kind: "Paint",
  plural: "paints",
  namespaced: true
}

/** One of the two that answer to functions: memory, or a real API server. */
export interface Backend {
  readonly api: KubeApi
  readonly namespace: string
  /** Tells what happens to a kind's objects from now on, until it is asked: `verb name resourceVersion`. */
  readonly follow: (kind: KindId) => Promise<() => Promise<ReadonlyArray<Told>>>
}
export interface Told {
  readonly verb: string
  readonly object: RawObject
}

export type Any = RawObject & { readonly spec: any; readonly status?: any; readonly metadata: any }
const manager = "contract"
const apiVersionOf = ({ group, version }: KindId) => (group === "" ? version : `${group}/${version}`)

/** The outcome of a call: the object, or the failure's tag. */
const tell = (effect: Effect.Effect<unknown, { readonly _tag: string }>): Promise<any> =>
  Effect.runPromise(Effect.catch(effect, ({ _tag }) => Effect.succeed(_tag)))

/** The verbs, in short. Each test has names of its own; what is there of an earlier run is removed first. */
export const benchOf = (backend: () => Backend) => {
  const pool = (name: string): Ref => ({ namespace: "", name: `contract-${name}` })
  const service = (name: string): Ref => ({ namespace: backend().namespace, name: `contract-${name}` })
  const clear = async (kind: KindId, ref: Ref) => {
    await tell(backend().api.mergePatch(kind, ref, { metadata: { finalizers: null } }, { manager }))
    await tell(backend().api.remove(kind, ref, {}))
  }
  const create = (
    kind: KindId,
    { namespace, name }: Ref,
    more: { readonly metadata?: object; [field: string]: unknown }
  ) =>
    tell(
      backend().api.create(
        kind,
        namespace,
        {
          apiVersion: apiVersionOf(kind),
          kind: kind.kind,
          ...more,
          metadata: { name, ...(namespace === "" ? {} : { namespace }), ...more.metadata }
        },
        { manager }
      )
    )
  const newPool = async (name: string, more: object = {}): Promise<Any> => {
    await clear(IpClaimPool, pool(name))
    return create(IpClaimPool, pool(name), { spec: { cidr: "10.0.0.0/24" }, ...more })
  }
  const newService = async (name: string, spec: object = {}): Promise<Any> => {
    await clear(Service, service(name))
    return create(Service, service(name), { spec: { ports: [{ port: 80, protocol: "TCP" }], ...spec } })
  }
  const get = (kind: KindId, ref: Ref) => tell(backend().api.get(kind, ref))
  const patch = (kind: KindId, ref: Ref, body: object, subresource: "" | "status" = "") =>
    tell(backend().api.mergePatch(kind, ref, body, { manager, subresource }))
  const remove = (kind: KindId, ref: Ref, preconditions: object = {}) =>
    tell(backend().api.remove(kind, ref, preconditions))
  const condition = (type: string, status = "True") => ({
    type,
    status,
    reason: "Said",
    message: "so",
    lastTransitionTime: "2026-01-01T00:00:00Z"
  })
  const apply = (name: string, by: string, status: object, metadata: object = {}) =>
    tell(
      backend().api.apply(
        IpClaimPool,
        pool(name),
        {
          apiVersion: apiVersionOf(IpClaimPool),
          kind: "IpClaimPool",
          metadata: { name: pool(name).name, ...metadata },
          status
        },
        { manager: by, subresource: "status" }
      )
    )
  const types = ({ status }: Any): ReadonlyArray<string> =>
    (status?.conditions ?? []).map(({ type }: { type: string }) => type).toSorted()
  return { pool, service, clear, create, newPool, newService, get, patch, remove, condition, apply, types }
}
