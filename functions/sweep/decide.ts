import { type Kind, type Ref, refKey, refOf } from "#runtime"
import { familyOf } from "../domain/addresses.ts"
import {
  addressOfClaim,
  isGivenTo,
  isNamedBy,
  newerEntryOf,
  serviceKeyOf,
  whyReleased
} from "../domain/holding.ts"
import { type ClaimedService, type IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { allocatedOf, byHandLimit, handWrittenOf, publishedOf } from "../domain/publishing.ts"
import {
  type Addresses,
  type Auto,
  beyondLimits,
  requestOf,
  shareOf,
  stillAskedFor,
  wantsAddress
} from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { whyNotListed } from "../domain/sharing.ts"
import { type Find, fits } from "./fits.ts"

/** Something that is not as it should be, and which function mends it. */
export interface Drift {
  readonly cause:
    | "PublishedWithoutClaim"
    | "ClaimedWithoutPublishing"
    | "NotPublished"
    | "HandWrittenWithoutClaim"
    | "EntryOutdated"
    | "SurplusOrOrphan"
    | "WaitingWhileSomethingFits"
    | "StillShown"
    | "AssignmentWithoutClaim"
    | "ClaimWithoutAssignment"
    | "StatusDisagrees"
    | "NodeNotRecorded"
    | "NodeStatusDisagrees"
  readonly mendedBy:
    | "allocate-on-annotate"
    | "claim-on-external-ip"
    | "free-on-delete"
    | "assign-on-claim"
    | "record-on-bind"
    | "record-on-join"
  /** What it is woken for. */
  readonly kind: Kind<any>
  readonly ref: Ref
  readonly what: string
}

/** What is wrong with one Service: with what it carries, or is to carry, and with what its author wrote by hand. */
const driftsOf = (service: Service, ledger: Ledger, settings: Settings, find: Find): ReadonlyArray<Drift> => {
  if (service.metadata.deletionTimestamp !== undefined) return []
  const ref = refOf(service)
  const drift = (cause: Drift["cause"], mendedBy: Drift["mendedBy"], what: string): Drift => ({
    cause,
    mendedBy,
    kind: Service,
    ref,
    what
  })
  const drifts: Array<Drift> = []
  const byHand = [...handWrittenOf(service).addresses]
  const isOutdated = (address: string) => newerEntryOf(ledger.claim(address), service) !== undefined
  const unwritten = byHand.filter((address) => {
    const isAllowed = ledger.listersOf(address).includes(refKey(ref))
    const claim = ledger.claim(address)
    const isFree =
      !isNamedBy(claim, service) &&
      ledger.rightfulOwner(address, refKey(ref)) === undefined &&
      ledger.whyElsewhere(address, refKey(ref)) === undefined &&
      beyondLimits(service) === undefined &&
      whyNotListed(claim, service, shareOf(service), find) === undefined
    return isFree && isAllowed && ledger.forbidden(address) === undefined
  })
  const room = byHandLimit - byHand.filter((address) => isNamedBy(ledger.claim(address), service)).length
  if (unwritten.length > 0 && room > 0) {
    const what = unwritten.slice(0, room).join(" and ")
    drifts.push(drift("HandWrittenWithoutClaim", "claim-on-external-ip", what))
  }
  const listedOutdated = byHand.filter(isOutdated)
  if (listedOutdated.length > 0) {
    drifts.push(drift("EntryOutdated", "claim-on-external-ip", listedOutdated.join(" and ")))
  }
  const carried = allocatedOf(service)
  const request = requestOf(service, settings)
  if (request._tag === "None") {
    if (carried.length > 0) {
      const what = `${carried.join(" and ")}, for which it no longer asks`
      drifts.push(drift("StillShown", "free-on-delete", what))
    }
    return drifts
  }
  const unclaimed = carried.filter((address) => !isNamedBy(ledger.claim(address), service))
  const outdated = carried.filter(isOutdated)
  const published = publishedOf(service)
  const hidden = carried.filter((address) => !published.includes(address))
  if (unclaimed.length > 0) {
    drifts.push(drift("PublishedWithoutClaim", "allocate-on-annotate", unclaimed.join(" and ")))
  } else if (hidden.length > 0) {
    drifts.push(drift("NotPublished", "allocate-on-annotate", hidden.join(" and ")))
  } else if (outdated.length > 0) {
    drifts.push(drift("EntryOutdated", "allocate-on-annotate", outdated.join(" and ")))
  } else {
    const open = wantsAddress(request) ? stillAskedFor(request, carried) : undefined
    // What it lists by hand meanwhile it has, and needs no more, unless it is what it asks for.
    const isMissing = (address: string) =>
      !carried.includes(address) && (!byHand.includes(address) || isAskedFor(open, address))
    const given = ledger
      .claimsOf(refKey(ref))
      .filter((claim) => isMissing(addressOfClaim(claim)) && isGivenTo(claim, service))
    const fitting = open === undefined ? undefined : fits(service, open, ledger, find, carried.length === 0)
    if (given.length > 0) {
      const what = given.map(addressOfClaim).join(" and ")
      drifts.push(drift("ClaimedWithoutPublishing", "allocate-on-annotate", what))
    } else if (fitting !== undefined) {
      drifts.push(drift("WaitingWhileSomethingFits", "allocate-on-annotate", fitting))
    }
  }
  return drifts
}

const isAskedFor = (open: Addresses | Auto | undefined, address: string): boolean =>
  open?._tag === "Addresses"
    ? open.addresses.includes(address)
    : open?.families.includes(familyOf(address)) === true

/**
 * Every drift between Services and claims. Each is one that some event should have mended already: an event that was
 * lost, or a process that died between two writes.
 */
export const findDrifts = (
  services: Iterable<Service>,
  claims: Iterable<IpClaim>,
  ledger: Ledger,
  settings: Settings
): ReadonlyArray<Drift> => {
  const drifts: Array<Drift> = []
  const byKey = new Map<string, Service>()
  for (const service of services) byKey.set(refKey(refOf(service)), service)
  const find = (entry: ClaimedService) => byKey.get(serviceKeyOf(entry))
  for (const service of byKey.values()) drifts.push(...driftsOf(service, ledger, settings, find))
  for (const claim of claims) {
    for (const entry of claim.spec.services ?? []) {
      const why = whyReleased(claim, entry, byKey.get(serviceKeyOf(entry)), settings)
      if (why === undefined) continue
      const { namespace, name } = entry
      const what = `${addressOfClaim(claim)}: ${why}`
      drifts.push({
        cause: "SurplusOrOrphan",
        mendedBy: "free-on-delete",
        kind: Service,
        ref: { namespace, name },
        what
      })
    }
  }
  for (const pool of ledger.pools) {
    for (const { namespace, name } of ledger.nextInTurn(pool.name)) {
      const what = `pool ${pool.name} has an address for it`
      const ref = { namespace, name }
      const cause = "WaitingWhileSomethingFits"
      drifts.push({ cause, mendedBy: "allocate-on-annotate", kind: Service, ref, what })
    }
  }
  return drifts
}

/** Claims that nobody holds: their last Service was taken out of them, and they were not deleted. */
export const abandoned = (
  claims: Iterable<IpClaim>,
  ledger: Pick<Ledger, "rightfulOwner">,
  now: number
): ReadonlyArray<IpClaim> =>
  Array.from(claims).filter(
    (claim) =>
      (claim.spec.services ?? []).length === 0 &&
      // A Service carries it: somebody edited the claim, and the Service is about to be entered again.
      ledger.rightfulOwner(addressOfClaim(claim)) === undefined &&
      // Set aside after a conflict until then.
      !(claim.status?.retryAt !== undefined && Date.parse(claim.status.retryAt) > now)
  )
