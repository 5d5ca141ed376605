import * as Schema from "effect/Schema"
import { type Disposition, Reject, refKey, refOf } from "#runtime"
import { cidrContains } from "../domain/addresses.ts"
import { isEntryOf, isNamedBy, newerEntryOf } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { byHandLimit, handWrittenOf } from "../domain/publishing.ts"
import { annotations, beyondLimits, shareOf } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { whyNotListed, whyNotShared } from "../domain/sharing.ts"
import { SharingBroken } from "../shared/sharing-broken.ts"

/** Addresses that the Service lists by hand and may not have. They are not bound; the Service stays as it is. */
export class ExternalIpsRefused extends Schema.TaggedError<ExternalIpsRefused>()("ExternalIpsRefused", {
  refusals: Schema.Array(Schema.String)
}) {
  readonly disposition: Disposition = Reject("ExternalIPRefused")
  override get message() {
    const more = this.refusals.length - 10
    const first = more > 0 ? [...this.refusals.slice(0, 10), `and ${more} more`] : this.refusals
    return `spec.externalIPs: ${first.join("; ")}`
  }
}

/** An address to be claimed for the Service. */
export interface Wanted {
  readonly address: string
  readonly pool: string | undefined
  /** The claim that is there already, for other Services that list the address too. */
  readonly claim: IpClaim | undefined
}

/** A claim in which the Service's ports or its sharing key are not those that it has by now. */
export interface Outdated {
  readonly claim: IpClaim
  readonly entry: ClaimedService
}

export interface Judgement {
  readonly wanted: ReadonlyArray<Wanted>
  readonly outdated: ReadonlyArray<Outdated>
  readonly refusals: ReadonlyArray<string>
  /** It has the address, but is in the way of a Service that was given it, or that one in its. */
  readonly broken: SharingBroken | undefined
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
): Judgement => {
  const { addresses, unparsable } = handWrittenOf(service)
  const share = shareOf(service)
  const limit = beyondLimits(service)
  const wanted: Array<Wanted> = []
  const outdated: Array<Outdated> = []
  let broken: SharingBroken | undefined
  const refusals = unparsable.map((text) => `"${text}" is not an address`)
  let room = byHandLimit - Array.from(addresses).filter((one) => isNamedBy(ledger.claim(one), service)).length
  for (const address of addresses) {
    const claim = ledger.claim(address)
    const present = claim?.spec.services ?? []
    if (claim !== undefined && isNamedBy(claim, service)) {
      const entry = newerEntryOf(claim, service)
      if (entry !== undefined) outdated.push({ claim, entry })
      // Who only lists it by hand as well may have any ports: that is between their authors.
      const isGiven = present.some((other) => other.origin === "allocated" && !isEntryOf(other, service))
      const why = isGiven ? whyNotShared(claim, service, share, find) : undefined
      if (why !== undefined) broken ??= new SharingBroken({ address, why })
      continue
    }
    const forbidden = ledger.forbidden(address)
    const pool = ledger.pools.find(
      (entry) => entry.gives && entry.addresses?.contains(address) === true && ledger.admits(entry, service)
    )
    const opened = settings.externalCidrs.some((cidr) => cidrContains(cidr, address))
    const owner = ledger.rightfulOwner(address, refKey(refOf(service)))
    const elsewhere = ledger.whyElsewhere(address, refKey(refOf(service)))
    if (limit !== undefined) refusals.push(`${address} cannot be claimed: ${limit.message}`)
    else if (forbidden !== undefined) refusals.push(`${address} ${forbidden}`)
    else if (pool === undefined && !opened) {
      refusals.push(
        `${address} is in no pool that this Service may use, nor in --external-cidrs; ask for an address with the annotation ${annotations.ask}: auto, or ask the administrator for a pool`
      )
    } else if (owner !== undefined) refusals.push(`${address} is carried by Service ${owner}`)
    else if (elsewhere !== undefined) refusals.push(`${address} ${elsewhere}`)
    else {
      const why = whyNotListed(claim, service, share, find)
      if (why !== undefined) refusals.push(`${address} ${why}`)
      else if (room-- <= 0) {
        refusals.push(
          `${address} is one too many: a Service can have ${byHandLimit} that it lists by hand; list the others in another Service`
        )
      } else wanted.push({ address, pool: claim?.spec.pool ?? pool?.name, claim })
    }
  }
  return { wanted, outdated, refusals, broken }
}
