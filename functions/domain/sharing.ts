import { isDisputed } from "./disputes.ts"
import { addressOfClaim, isFromPool } from "./holding.ts"
import { type ClaimedService, claimLimits, type IpClaim, type Service } from "./kinds.ts"
import type { Ledger, PoolEntry } from "./ledger.ts"
import type { Addresses, Auto } from "./requests.ts"

/** Whether the entry is the Service's, or its former self's under the same name. */
export const isNamesake = (entry: ClaimedService, { metadata: { namespace, name } }: Service): boolean =>
  entry.namespace === namespace && entry.name === name

/** Why nobody else can be entered into this claim, as `whyNotShared` says it; `undefined` while there is room. */
const whyFull = (claim: IpClaim | undefined, service: Service): string | undefined => {
  const others = (claim?.spec.services ?? []).filter((entry) => !isNamesake(entry, service))
  return others.length < claimLimits.services
    ? undefined
    : `is full: ${others.length} Services share it already, which is the most that can`
}

/**
 * Why the Service cannot share this claim's address, as the end of a sentence that begins with the address;
 * `undefined` when it can. Services share that are of one namespace, have the same key, and no port in common; with
 * `externalTrafficPolicy: Local` also the same selector, since the node that holds the address must serve them all. The
 * Service itself, or its former self under the same name, is in nobody's way.
 */
export const whyNotShared = (
  claim: IpClaim,
  service: Service,
  share: string | undefined,
  find: (entry: ClaimedService) => Service | undefined
): string | undefined => {
  for (const entry of claim.spec.services ?? []) {
    if (isNamesake(entry, service)) continue
    const who = `Service ${entry.namespace}/${entry.name}`
    if (share === undefined || entry.share !== share || entry.namespace !== service.metadata.namespace) {
      return `is held by ${who}; to share it, give both the same annotation external-ip-share, in one namespace`
    }
    const clash = (service.spec?.ports ?? []).find((mine) =>
      (entry.ports ?? []).some(
        (theirs) => theirs.port === mine.port && theirs.protocol === (mine.protocol ?? "TCP")
      )
    )
    if (clash !== undefined)
      return `is shared by ${who}, which has port ${clash.port}/${clash.protocol ?? "TCP"} too`
    const other = find(entry)
    const isLocal = [service, other].some((one) => one?.spec?.externalTrafficPolicy === "Local")
    if (isLocal && other !== undefined && !sameSelector(service, other)) {
      return `is shared by ${who}, which selects other pods; with externalTrafficPolicy Local the selectors must be the same`
    }
  }
  return whyFull(claim, service)
}

/**
 * Why the Service cannot be entered into the claim of an address that it lists by hand, as `whyNotShared` says it. Several
 * may list one address; what was given to a Service is that one's to share.
 */
export const whyNotListed = (
  claim: IpClaim | undefined,
  service: Service,
  share: string | undefined,
  find: (entry: ClaimedService) => Service | undefined
): string | undefined =>
  claim?.spec.services?.some(({ origin }) => origin === "allocated") === true
    ? whyNotShared(claim, service, share, find)
    : whyFull(claim, service)

/** The claims, in the order of these pools, that the Service can share by the key that it asks with. */
export function* sharable(
  ledger: Ledger,
  service: Service,
  { share, pool: wanted }: Auto | Addresses,
  pools: ReadonlyArray<PoolEntry>,
  find: (entry: ClaimedService) => Service | undefined
): Iterable<{ readonly claim: IpClaim; readonly address: string; readonly pool: string }> {
  if (share === undefined) return
  const claims = ledger.claimsSharedBy(service.metadata.namespace ?? "", share)
  for (const pool of pools) {
    for (const claim of claims) {
      const address = addressOfClaim(claim)
      if (pool.addresses?.contains(address) !== true || isDisputed(claim)) continue
      // As free-on-delete has it: what it would take back is not given.
      if (!isFromPool(claim, wanted)) continue
      if (whyNotShared(claim, service, share, find) === undefined) yield { claim, address, pool: pool.name }
    }
  }
}

const sameSelector = (one: Service, other: Service): boolean => {
  const entries = (service: Service) =>
    JSON.stringify(Object.entries(service.spec?.selector ?? {}).toSorted())
  return entries(one) === entries(other)
}
