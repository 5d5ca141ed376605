import { refKey, refOf } from "#runtime"
import { addressOfClaim, serviceKeyOf, whyReleased } from "../domain/holding.ts"
import type { IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { allocatedOf, publishedOf } from "../domain/publishing.ts"
import { type RequestOptions, requestOf, wantsAddress } from "../domain/requests.ts"

/** Something that is not as it should be, and which function mends it. */
export interface Drift {
  readonly cause:
    | "PublishedWithoutClaim"
    | "NotPublished"
    | "SurplusOrOrphan"
    | "WaitingWhileSomethingFits"
    | "StillShown"
  readonly mendedBy: "allocate-on-annotate" | "free-on-delete"
  readonly service: { readonly namespace: string; readonly name: string }
  readonly what: string
}

/**
 * Every drift between Services and claims. Each is one that some event should have mended already: an event that was
 * lost, or a process that died between two writes.
 */
export const findDrifts = (
  services: Iterable<Service>,
  claims: Iterable<IpClaim>,
  ledger: Ledger,
  options: RequestOptions
): ReadonlyArray<Drift> => {
  const drifts: Array<Drift> = []
  const byKey = new Map<string, Service>()
  for (const service of services) {
    const ref = refOf(service)
    byKey.set(refKey(ref), service)
    const carried = allocatedOf(service)
    if (carried.length === 0 || service.metadata.deletionTimestamp !== undefined) continue
    const report = (cause: Drift["cause"], mendedBy: Drift["mendedBy"], what: string) =>
      drifts.push({ cause, mendedBy, service: ref, what })
    const unclaimed = carried.filter((address) => ledger.claim(address) === undefined)
    const hidden = carried.filter((address) => !publishedOf(service).includes(address))
    if (!wantsAddress(requestOf(service, options))) {
      if (requestOf(service, options)._tag === "None") {
        report("StillShown", "free-on-delete", `${carried.join(" and ")}, for which it no longer asks`)
      }
    } else if (unclaimed.length > 0) {
      report("PublishedWithoutClaim", "allocate-on-annotate", unclaimed.join(" and "))
    } else if (hidden.length > 0) report("NotPublished", "allocate-on-annotate", hidden.join(" and "))
  }
  for (const claim of claims) {
    for (const entry of claim.spec.services ?? []) {
      const why = whyReleased(claim, entry, byKey.get(serviceKeyOf(entry)), options)
      if (why === undefined) continue
      const { namespace, name } = entry
      const what = `${addressOfClaim(claim)}: ${why}`
      drifts.push({ cause: "SurplusOrOrphan", mendedBy: "free-on-delete", service: { namespace, name }, what })
    }
  }
  for (const pool of ledger.pools) {
    for (const { namespace, name } of ledger.nextInTurn(pool.name)) {
      const what = `pool ${pool.name} has an address for it`
      const service = { namespace, name }
      drifts.push({ cause: "WaitingWhileSomethingFits", mendedBy: "allocate-on-annotate", service, what })
    }
  }
  return drifts
}

/** Claims that nobody holds: their last Service was taken out of them, and they were not deleted. */
export const abandoned = (claims: Iterable<IpClaim>, now: number): ReadonlyArray<IpClaim> =>
  Array.from(claims).filter(
    (claim) =>
      (claim.spec.services ?? []).length === 0 &&
      // Set aside after a conflict until then.
      !(claim.status?.retryAt !== undefined && Date.parse(claim.status.retryAt) > now)
  )
