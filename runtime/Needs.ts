import { type Kind, resourceName } from "./Kind.ts"

/** `watch`: it is in the view, for which the bridge lists and watches it. The others are the function's own requests. */
export type KubeVerb = "watch" | "get" | "create" | "patch" | "delete"

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

const need = (kind: Kind<any>, verb: KubeVerb, subresource: Need["subresource"] = ""): Need => ({
  kind,
  verb,
  subresource
})

/** May read these kinds from the view. The bridge then lists and watches them; the function itself asks for nothing. */
export const read = (...kinds: ReadonlyArray<Kind<any>>): ReadonlyArray<Need> =>
  kinds.map((kind) => need(kind, "watch"))

/** May read these kinds from the view, and fresh from the API server: `Kube.get`. */
export const readFresh = (...kinds: ReadonlyArray<Kind<any>>): ReadonlyArray<Need> =>
  kinds.flatMap((kind) => [need(kind, "watch"), need(kind, "get")])

/** Whoever writes an object may get it as well: who loses to another looks at what that other has made of it. */
const write = (kind: Kind<any>, verb: KubeVerb, subresource?: Need["subresource"]): ReadonlyArray<Need> => [
  need(kind, "get"),
  need(kind, verb, subresource)
]

/** May create objects of this kind, and get them. */
export const create = (kind: Kind<any>): ReadonlyArray<Need> => write(kind, "create")

/** May change objects of this kind, and get them. */
export const patch = (kind: Kind<any>): ReadonlyArray<Need> => write(kind, "patch")

/** May change the status of objects of this kind, and get them. */
export const patchStatus = (kind: Kind<any>): ReadonlyArray<Need> => write(kind, "patch", "status")

/** May delete objects of this kind, and get them. */
export const remove = (kind: Kind<any>): ReadonlyArray<Need> => write(kind, "delete")

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
