import * as Effect from "effect/Effect"
import { Kube, refOf } from "#runtime"
import { Service } from "../domain/kinds.ts"
import { ingressPatch, publishPatch, withdrawPatch } from "../domain/publishing.ts"

const at = (service: Service) => ({
  uid: service.metadata.uid,
  resourceVersion: service.metadata.resourceVersion
})

/** Takes our addresses off the Service, but for those that it keeps; nobody else's entry is touched. */
export const withdraw = Effect.fnUntraced(function* (service: Service, keeps: ReadonlyArray<string>) {
  const kube = yield* Kube
  const ingress = ingressPatch(service, keeps)
  const cleared =
    ingress === undefined ? service : yield* kube.patchStatus(Service, refOf(service), at(service), ingress)
  const main = keeps.length === 0 ? withdrawPatch(cleared) : publishPatch(cleared, keeps)
  const present =
    main === undefined ? cleared : yield* kube.patch(Service, refOf(cleared), at(cleared), { ...main })
  yield* kube.note(Service, present, {
    type: "Normal",
    reason: "ClearAssignment",
    message: keeps.length === 0 ? "Cleared the external IP" : `Kept ${keeps.join(", ")}, cleared the others`,
    once: `cleared ${present.metadata.resourceVersion}`
  })
})
