import { type Index, type Ref, refKey, type View, type WakeEvent, type Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { refOfServiceKey } from "../domain/holding.ts"
import { type IpClaim, type IpClaimPool, Service } from "../domain/kinds.ts"
import type { Ledger, PoolEntry } from "../domain/ledger.ts"
import { annotationOf, annotations } from "../domain/requests.ts"
import { whyNotShared } from "../domain/sharing.ts"

/** Whom the pool can serve now, the oldest first: nobody else is touched. */
const whomItServes = (ledger: Ledger, pool: PoolEntry): ReadonlyArray<Ref> =>
  ledger.nextInTurn(pool.name).map(({ namespace, name }) => ({ namespace, name }))

/**
 * The Services that wait and could be served now: a pool came, grew, or admits others; a namespace has other labels; a
 * Node has left an address.
 */
export const servicesThatWait = (ledgerOf: Index<Ledger>): Wakes<any, Service> => ({
  kind: Service,
  keys: (_event: WakeEvent<unknown>, view: View) => {
    const ledger = view.index(ledgerOf)
    return ledger.pools.flatMap((pool) => whomItServes(ledger, pool))
  }
})

/** The Services that have the address on them, given by us or written by hand, whether a claim names them or not. */
const thoseWhoHave = (ledger: Ledger, address: string): ReadonlyArray<string> => [
  ...new Set([...ledger.carriersOf(address), ...ledger.listersOf(address)])
]

/**
 * The Services that have the address on them though its claim is gone; else those that wait for it, unless another
 * controller has it. `carriedYet` is what was left to the former: the watches of claims and of Services are two, so a
 * Service that has just lost the address may still seem to have it. Forgotten with the process: then the sweep wakes those that wait.
 */
export const servicesThatWaitFor = (
  ledgerOf: Index<Ledger>,
  carriedYet: Set<string>
): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ ref }, view) => {
    const address = addressOfClaimName(ref.name)
    if (address === undefined) return []
    const ledger = view.index(ledgerOf)
    const owners = thoseWhoHave(ledger, address)
    if (owners.length === 0 && ledger.servedElsewhere(address).length === 0) {
      return whomTheAddressServes(ledger, address)
    }
    carriedYet.add(address)
    return owners.map(refOfServiceKey)
  }
})

/** The Services that wait for an address whose claim is gone, and which no Service has on it any more. */
export const servicesThatWaitForWhatItCarried = (
  ledgerOf: Index<Ledger>,
  carriedYet: Set<string>
): Wakes<Service, Service> => ({
  kind: Service,
  keys: (_event, view) => {
    if (carriedYet.size === 0) return []
    const ledger = view.index(ledgerOf)
    return Array.from(carriedYet).flatMap((address) => {
      const isClaimed = ledger.claim(address) !== undefined
      const isThere = thoseWhoHave(ledger, address).length + ledger.servedElsewhere(address).length > 0
      if (!isClaimed && isThere) return []
      carriedYet.delete(address)
      return isClaimed ? [] : whomTheAddressServes(ledger, address)
    })
  }
})

const whomTheAddressServes = (ledger: Ledger, address: string): ReadonlyArray<Ref> => {
  const pool = ledger.poolOf(address)
  return pool === undefined ? [] : whomItServes(ledger, pool)
}

/**
 * The Services that may share the address of this claim by now: one that was in their way has left it, or has other
 * ports.
 */
export const servicesThatWaitToShare = (ledgerOf: Index<Ledger>): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ now }, view) => (now === undefined ? [] : whoMayShare(now, view, ledgerOf))
})

/** The same when a Service that has it is another one than before: its traffic policy and selector are in no claim. */
export const servicesThatWaitToShareWithIt = (ledgerOf: Index<Ledger>): Wakes<Service, Service> => ({
  kind: Service,
  keys: ({ ref, now }, view) =>
    now === undefined || annotationOf(now, annotations.share) === undefined
      ? []
      : view
          .index(ledgerOf)
          .claimsOf(refKey(ref))
          .flatMap((claim) => whoMayShare(claim, view, ledgerOf))
})

const whoMayShare = (claim: IpClaim, view: View, ledgerOf: Index<Ledger>): ReadonlyArray<Ref> => {
  const keys = new Set(
    (claim.spec.services ?? []).flatMap(({ namespace, share }) =>
      share === undefined ? [] : [`${namespace}/${share}`]
    )
  )
  if (keys.size === 0) return []
  const find = (entry: Ref) => view.find(Service, entry)
  return view
    .index(ledgerOf)
    .waitingToShare(keys)
    .filter((ref) => {
      const service = find(ref)
      return service !== undefined && whyNotShared(claim, service, ref.share, find) === undefined
    })
}

/** Those of the Services that have an address of the pool on them which no claim holds; `unclaimed` finds all, by address. */
const servicesWithoutClaimIn = (
  ledgerOf: Index<Ledger>,
  unclaimed: (ledger: Ledger) => Iterable<readonly [address: string, services: ReadonlyArray<string>]>
): Wakes<IpClaimPool, Service> => ({
  kind: Service,
  keys: ({ ref }, view) => {
    const ledger = view.index(ledgerOf)
    const addresses = ledger.pool(ref.name)?.addresses
    if (addresses === undefined) return []
    return Array.from(unclaimed(ledger))
      .filter(([address]) => addresses.contains(address))
      .flatMap(([, services]) => services.map(refOfServiceKey))
  }
})

/** The Services that carry an address of this pool which no claim holds. */
export const servicesThatHaveLostTheirClaim = (ledgerOf: Index<Ledger>) =>
  servicesWithoutClaimIn(ledgerOf, (ledger) => ledger.carriedWithoutClaim())

/** The Services that show an address of this pool which no claim holds: they adopt it. */
export const servicesThatShowWithoutClaim = (ledgerOf: Index<Ledger>) =>
  servicesWithoutClaimIn(ledgerOf, (ledger) => ledger.listedWithoutClaim())
