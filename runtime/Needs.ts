import { type Kind, resourceName } from "./Kind.ts"

export type KubeVerb = "get" | "create" | "patch" | "delete"

/** One permission that a function declares: a verb on a resource. RBAC rules are made of these. */
export interface Need {
  readonly kind: Kind<any>
  readonly verb: KubeVerb
  readonly subresource: "" | "status"
}

/** What a function may do with the fleet: see it, or place claims on it as well. */
export interface FleetNeed {
  readonly fleet: "sees" | "places"
}

/** May read `Fleet`. */
export const seeFleet: ReadonlyArray<FleetNeed> = [{ fleet: "sees" }]

/** May read `Fleet`, and place claims on its nodes. */
export const place: ReadonlyArray<FleetNeed> = [{ fleet: "places" }]

/** May read these kinds: from the view, or fresh from the API server. The bridge then watches them. */
export const read = (...kinds: ReadonlyArray<Kind<any>>): ReadonlyArray<Need> =>
  kinds.map((kind) => ({ kind, verb: "get", subresource: "" }))

/** May create objects of this kind. */
export const create = (kind: Kind<any>): ReadonlyArray<Need> => [{ kind, verb: "create", subresource: "" }]

/** May change objects of this kind. */
export const patch = (kind: Kind<any>): ReadonlyArray<Need> => [{ kind, verb: "patch", subresource: "" }]

/** May change the status of objects of this kind. */
export const patchStatus = (kind: Kind<any>): ReadonlyArray<Need> => [
  { kind, verb: "patch", subresource: "status" }
]

/** May delete objects of this kind. */
export const remove = (kind: Kind<any>): ReadonlyArray<Need> => [{ kind, verb: "delete", subresource: "" }]

/** `patch services/status`, as `kubectl auth can-i` takes it. */
export const describeNeed = (need: Need): string =>
  `${need.verb} ${resourceName(need.kind)}${need.subresource === "" ? "" : `/${need.subresource}`}`

export const allows = (needs: ReadonlyArray<Need>, wanted: Need): boolean =>
  needs.some(
    (need) =>
      need.verb === wanted.verb &&
      need.subresource === wanted.subresource &&
      need.kind.plural === wanted.kind.plural &&
      need.kind.group === wanted.kind.group
  )
