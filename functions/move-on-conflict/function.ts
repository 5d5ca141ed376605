import * as Effect from "effect/Effect"
import { defineFunction, Kube, patch, patchStatus, read, refOf } from "#runtime"
import { isDisputed } from "../domain/disputes.ts"
import { addressOfClaim } from "../domain/holding.ts"
import { type ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { allocatedOf } from "../domain/publishing.ts"
import type { Settings } from "../domain/settings.ts"
import { at } from "../shared/at.ts"
import { withdraw } from "../shared/withdraw.ts"
import { mayMove } from "./decide.ts"

/**
 * Takes an address that a foreign machine has away from Services that asked for any, so that they are given another
 * one. The claim is kept without them, and so the address is set aside until its `retryAt`.
 *
 * Reads   claim and Services from the API server, since something is taken away; pools, for whether there is another.
 * Writes  outside in: takes the address off the Service, then the Service out of the claim.
 * Repeat  harmless: every step is made under uid and resource version, and is passed over when it has been made.
 */
export const moveOnConflict = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineFunction({
    name: "move-on-conflict",
    on: [IpClaim.changed],
    when: function isDisputedAndWasNeverBound(claim: IpClaim) {
      return isDisputed(claim) && (claim.spec.services ?? []).length > 0
    },
    needs: [read(...ledgerReads), patch(Service), patchStatus(Service), patch(IpClaim)],
    handle: Effect.fnUntraced(function* (seen: IpClaim) {
      const kube = yield* Kube
      const claim = yield* kube.get(IpClaim, refOf(seen))
      if (claim === undefined || !isDisputed(claim)) return
      const ledger = kube.index(ledgerOf)
      const address = addressOfClaim(claim)
      const gone: Array<ClaimedService> = []
      for (const entry of claim.spec.services ?? []) {
        const service = yield* kube.get(Service, entry)
        if (!mayMove(claim, entry, service, ledger, settings)) continue
        if (allocatedOf(service).includes(address)) yield* clear(service, claim)
        gone.push(entry)
      }
      if (gone.length === 0) return
      const services = (claim.spec.services ?? []).filter((entry) => !gone.includes(entry))
      yield* kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services } })
      const who = gone.map(({ namespace, name }) => `${namespace}/${name}`).join(" and ")
      return `set ${address} aside: ${who} is given another one`
    })
  })
}

/** Takes all of ours off the Service: what it keeps of them is given to it again, with another one for this. */
const clear = Effect.fnUntraced(function* (service: Service, claim: IpClaim) {
  const kube = yield* Kube
  const present = yield* withdraw(service, [])
  const why = claim.status?.conditions?.find(({ type }) => type === "Bound")?.message
  yield* kube.note(Service, present, {
    type: "Normal",
    reason: "ClearAssignment",
    message: `Cleared ${addressOfClaim(claim)} for another one: ${why ?? "another machine answers for it"}`,
    once: `disputed ${present.metadata.resourceVersion}`
  })
})
