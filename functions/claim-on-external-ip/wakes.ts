import type { Index, View, Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { refOfServiceKey } from "../domain/holding.ts"
import { type IpClaim, type IpClaimPool, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"

/** The Services that list the address of this claim by hand: they have it still, and it is to be claimed for them again. */
export const servicesThatListIt = (ledgerOf: Index<Ledger>): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ ref }, view: View) => {
    const address = addressOfClaimName(ref.name)
    return address === undefined ? [] : view.index(ledgerOf).listersOf(address).map(refOfServiceKey)
  }
})

/** The Services that list an address of this pool which no claim holds: they were there before the pool. */
export const servicesThatListWithoutClaim = (ledgerOf: Index<Ledger>): Wakes<IpClaimPool, Service> => ({
  kind: Service,
  keys: ({ ref }, view: View) => {
    const ledger = view.index(ledgerOf)
    const addresses = ledger.pool(ref.name)?.addresses
    if (addresses === undefined) return []
    return Array.from(ledger.listedWithoutClaim())
      .filter(([address]) => addresses.contains(address))
      .flatMap(([, services]) => services.map(refOfServiceKey))
  }
})
