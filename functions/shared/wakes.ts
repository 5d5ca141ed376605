import type { Index, Wakes } from "#runtime"
import { refOfServiceKey } from "../domain/holding.ts"
import { type IpClaimPool, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"

/** Those of the Services that have an address of the pool on them which no claim holds; `unclaimed` finds all, by address. */
export const servicesWithoutClaimIn = (
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
