import type { Index, View, Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { refOfServiceKey } from "../domain/holding.ts"
import { type IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"

/** The Services that list the address of this claim by hand: they have it still, and it is to be claimed for them again. */
export const servicesThatListIt = (ledgerOf: Index<Ledger>): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ ref }, view: View) => {
    const address = addressOfClaimName(ref.name)
    return address === undefined ? [] : view.index(ledgerOf).listersOf(address).map(refOfServiceKey)
  }
})

/** The Services that list an address which no claim holds: what was in their way may be gone. */
export const servicesThatList = (ledgerOf: Index<Ledger>): Wakes<any, Service> => ({
  kind: Service,
  keys: (_event, view: View) =>
    Array.from(view.index(ledgerOf).listedWithoutClaim()).flatMap(([, services]) =>
      services.map(refOfServiceKey)
    )
})
