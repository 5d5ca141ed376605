import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { type EventNote, Kube, refOf } from "#runtime"
import { addressOfClaim } from "../domain/holding.ts"
import { IpClaim, Service } from "../domain/kinds.ts"
import type { Change } from "./decide.ts"

const conflicts = Metric.counter("extip_address_conflicts_total", {
  description: "Addresses for which a machine that is none of ours was found to answer",
  incremental: true
})

/** Writes the change into the claim's status, and tells of it whom it concerns. */
export const record = Effect.fnUntraced(function* (change: Change) {
  const { claim, patch } = change
  const kube = yield* Kube
  const { uid, resourceVersion } = claim.metadata
  const written = yield* kube.patchStatus(IpClaim, refOf(claim), { uid, resourceVersion }, patch)
  if (change.isDisputed) yield* Metric.update(conflicts, 1)
  yield* tell(written, change)
})

const noteOf = ({ claim, state, isMoved, isDisputed }: Change): EventNote | undefined => {
  const address = addressOfClaim(claim)
  if (isMoved) {
    const { node, link, mac, boundAt } = state
    return {
      type: "Normal",
      reason: "nodeAssigned",
      message: `${address} is on ${node} (${link}, ${mac})`,
      once: `${address} ${node} ${boundAt}`
    }
  }
  if (!isDisputed) return undefined
  const { message, retryAt } = state
  return { type: "Warning", reason: "AddressConflict", message, once: `${message} ${retryAt}` }
}

/** Tells the authors of the claim's Services where their address is, or who has it instead. */
const tell = Effect.fnUntraced(function* (claim: IpClaim, change: Change) {
  const note = noteOf(change)
  if (note === undefined) return
  const kube = yield* Kube
  for (const { namespace, name, uid } of claim.spec.services ?? []) {
    const service = kube.find(Service, { namespace, name })
    if (service?.metadata.uid === uid) yield* kube.note(Service, service, note)
  }
  if (change.isDisputed) yield* kube.note(IpClaim, claim, note)
})
