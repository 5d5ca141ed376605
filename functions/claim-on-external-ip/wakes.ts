import type { Index, View, Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { refOfServiceKey } from "../domain/holding.ts"
import { type IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { servicesWithoutClaimIn } from "../shared/wakes.ts"

/** The Services that list the address of this claim by hand: they have it still, and it is to be claimed for them again. */
export const servicesThatListIt = (ledgerOf: Index<Ledger>): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ ref }, view: View) => {
    const address = addressOfClaimName(ref.name)
    return address === undefined ? [] : view.index(ledgerOf).listersOf(address).map(refOfServiceKey)
  }
})

/** The Services that list an address of this pool which no claim holds: they were there before the pool. */
export const servicesThatListWithoutClaim = (ledgerOf: Index<Ledger>) =>
  servicesWithoutClaimIn(ledgerOf, (ledger) => ledger.listedWithoutClaim())
