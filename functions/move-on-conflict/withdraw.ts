import * as Effect from "effect/Effect"
import { Kube, refOf } from "#runtime"
import { addressOfClaim } from "../domain/holding.ts"
import { type IpClaim, Service } from "../domain/kinds.ts"
import { ingressPatch, withdrawPatch } from "../domain/publishing.ts"

const at = ({ metadata: { uid, resourceVersion } }: Service) => ({ uid, resourceVersion })

/** Takes all of ours off the Service: what it keeps of them is given to it again, with another one for this. */
export const withdraw = Effect.fnUntraced(function* (service: Service, claim: IpClaim) {
  const kube = yield* Kube
  const ingress = ingressPatch(service, [])
  const cleared =
    ingress === undefined ? service : yield* kube.patchStatus(Service, refOf(service), at(service), ingress)
  const main = withdrawPatch(cleared)
  const present =
    main === undefined ? cleared : yield* kube.patch(Service, refOf(cleared), at(cleared), { ...main })
  const why = claim.status?.conditions?.find(({ type }) => type === "Bound")?.message
  yield* kube.note(Service, present, {
    type: "Normal",
    reason: "ClearAssignment",
    message: `Cleared ${addressOfClaim(claim)} for another one: ${why ?? "another machine answers for it"}`,
    once: `disputed ${present.metadata.resourceVersion}`
  })
})
