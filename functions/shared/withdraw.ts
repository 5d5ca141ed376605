import * as Effect from "effect/Effect"
import { Kube, refOf } from "#runtime"
import { Service } from "../domain/kinds.ts"
import { allocatedOf, ingressPatch, publishPatch, publishWhere, withdrawPatch } from "../domain/publishing.ts"
import { at } from "./at.ts"

/**
 * Takes our addresses (canonical) off the Service, but for those that it keeps, each write under its resource version;
 * nobody else's entry is touched. `lost` are ours in its ingress that its annotation does not name any more. Answers
 * with the Service as it is then.
 */
export const withdraw = Effect.fnUntraced(function* (
  service: Service,
  keeps: ReadonlyArray<string>,
  lost: ReadonlyArray<string> = []
) {
  const kube = yield* Kube
  // First: it is the annotation that says which entries are ours.
  const shown = publishWhere(service) === "loadBalancer" ? keeps : []
  const ingress = ingressPatch(service, shown, [...allocatedOf(service), ...lost])
  const cleared =
    ingress === undefined ? service : yield* kube.patchStatus(Service, refOf(service), at(service), ingress)
  const rest = keeps.length === 0 ? withdrawPatch(cleared) : publishPatch(cleared, keeps)
  return rest === undefined ? cleared : yield* kube.patch(Service, refOf(cleared), at(cleared), { ...rest })
})
