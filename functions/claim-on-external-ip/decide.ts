import * as Schema from "effect/Schema"
import { type Disposition, Reject, refKey, refOf } from "#runtime"
import { cidrContains } from "../domain/addresses.ts"
import { isNamedBy } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { handWrittenOf } from "../domain/publishing.ts"
import { annotationOf, annotations } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { whyNotShared } from "../domain/sharing.ts"

/** Addresses that the Service lists by hand and may not have. They are not bound; the Service stays as it is. */
export class ExternalIpsRefused extends Schema.TaggedError<ExternalIpsRefused>()("ExternalIpsRefused", {
  refusals: Schema.Array(Schema.String)
}) {
  readonly disposition: Disposition = Reject("ExternalIPRefused")
  override get message() {
    return `spec.externalIPs: ${this.refusals.join("; ")}`
  }
}

/** An address to be claimed for the Service. */
export interface Wanted {
  readonly address: string
  readonly pool: string | undefined
  /** The claim that is there already, for other Services that list the address too. */
  readonly claim: IpClaim | undefined
}

/**
 * Which of the addresses in `spec.externalIPs` are claimed for the Service, and why the others are not.
 *
 * CVE-2020-8554: whoever may write a Service must not be able to have any address of the network bound. So only what a
 * pool offers to this Service, or what the administrator has opened with --external-cidrs.
 */
export const judgeExternalIps = (
  ledger: Ledger,
  service: Service,
  settings: Settings,
  find: (entry: ClaimedService) => Service | undefined
): { readonly wanted: ReadonlyArray<Wanted>; readonly refusals: ReadonlyArray<string> } => {
  const { addresses, unparsable } = handWrittenOf(service)
  const wanted: Array<Wanted> = []
  const refusals = unparsable.map((text) => `"${text}" is not an address`)
  for (const address of addresses) {
    const claim = ledger.claim(address)
    const present = claim?.spec.services ?? []
    if (isNamedBy(claim, service)) continue
    const forbidden = ledger.forbidden(address)
    const pool = ledger.pools.find(
      (entry) => entry.gives && entry.addresses?.contains(address) === true && ledger.admits(entry, service)
    )
    const opened = settings.externalCidrs.some((cidr) => cidrContains(cidr, address))
    const owner = ledger.rightfulOwner(address, refKey(refOf(service)))
    const elsewhere = ledger.whyElsewhere(address, refKey(refOf(service)))
    if (forbidden !== undefined) refusals.push(`${address} ${forbidden}`)
    else if (pool === undefined && !opened) {
      refusals.push(
        `${address} is in no pool that this Service may use, nor in --external-cidrs; ask for an address with the annotation ${annotations.ask}: auto, or ask the administrator for a pool`
      )
    } else if (owner !== undefined) refusals.push(`${address} is carried by Service ${owner}`)
    else if (elsewhere !== undefined) refusals.push(`${address} ${elsewhere}`)
    else if (claim !== undefined && present.some(({ origin }) => origin === "allocated")) {
      const why = whyNotShared(claim, service, annotationOf(service, annotations.share), find)
      if (why === undefined) wanted.push({ address, pool: claim.spec.pool, claim })
      else refusals.push(`${address} ${why}`)
    } else wanted.push({ address, pool: claim?.spec.pool ?? pool?.name, claim })
  }
  return { wanted, refusals }
}
