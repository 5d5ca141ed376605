import { refKey, refOf } from "#runtime"
import { familyOf } from "../domain/addresses.ts"
import { isFromPool, isNamedBy } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger, PoolEntry } from "../domain/ledger.ts"
import { shownOf } from "../domain/publishing.ts"
import type { Addresses, Auto } from "../domain/requests.ts"
import { sharable, whyNotShared } from "../domain/sharing.ts"

export type Find = (entry: ClaimedService) => Service | undefined

/**
 * What the Service could have now though no queue has it: a share of an address, what it shows already, or, if it has one
 * address, the rest of what it asks for.
 */
export const fits = (
  service: Service,
  request: Auto | Addresses,
  ledger: Ledger,
  find: Find,
  isWaiting: boolean
): string | undefined => {
  const key = refKey(refOf(service))
  const pools = ledger.eligiblePools(service, request)
  const shared = Array.from(sharable(ledger, service, request, pools, find), ({ address }) => address).filter(
    (address) => ledger.rightfulOwner(address, key) === undefined
  )
  const isFree = (address: string) =>
    !ledger.isTaken(address, key) &&
    ledger.forbidden(address) === undefined &&
    pools.some(({ addresses }) => addresses?.contains(address) === true)
  // Nobody else may have what it shows, so that it is not among what a pool has left.
  const shown = shownOf(service).filter(isFree)
  const isOutOfQueue = (address: string) => shared.includes(address) || shown.includes(address)
  // Nothing will do but all of it. What it has by hand becomes its own.
  if (request._tag === "Addresses") {
    const isByHand = (claim: IpClaim | undefined) =>
      claim !== undefined &&
      isNamedBy(claim, service) &&
      isFromPool(claim, request.pool) &&
      whyNotShared(claim, service, request.share, find) === undefined
    const isCertain = (address: string) => isOutOfQueue(address) || isByHand(ledger.claim(address))
    const { addresses } = request
    const isFitting = addresses.every((address) => isCertain(address) || isFree(address))
    return isFitting && (!isWaiting || addresses.some(isCertain))
      ? `it may have ${addresses.join(" and ")}`
      : undefined
  }
  const needed = request.needsAll === true ? request.families : request.families.slice(0, 1)
  const own = needed.map((family) => [...shared, ...shown].find((address) => familyOf(address) === family))
  if (isWaiting && own.every((address) => address === undefined)) return undefined
  const found = needed.map((family, index) => {
    const isOpen = ({ name, addresses }: PoolEntry) =>
      addresses?.family === family && ledger.isItsTurn(service, name)
    const pool = pools.find(isOpen)
    return own[index] ?? (pool === undefined ? undefined : `one of pool ${pool.name}`)
  })
  return found.includes(undefined) ? undefined : `it may have ${found.join(" and ")}`
}
