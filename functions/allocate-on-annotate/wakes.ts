import type { Index, Ref, View, WakeEvent, Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { type IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger, PoolEntry } from "../domain/ledger.ts"

/** Whom the pool can serve now, the oldest first: nobody else is touched. */
const whomItServes = (ledger: Ledger, pool: PoolEntry): ReadonlyArray<Ref> =>
  ledger.nextInTurn(pool.name).map(({ namespace, name }) => ({ namespace, name }))

/** The Services that wait and could be served now: a pool came, grew, or admits others; a namespace has other labels. */
export const servicesThatWait = (ledgerOf: Index<Ledger>): Wakes<any, Service> => ({
  kind: Service,
  keys: (_event: WakeEvent<unknown>, view: View) => {
    const ledger = view.index(ledgerOf)
    return ledger.pools.flatMap((pool) => whomItServes(ledger, pool))
  }
})

/** The Services that wait for the address that was freed. */
export const servicesThatWaitFor = (ledgerOf: Index<Ledger>): Wakes<IpClaim, Service> => ({
  kind: Service,
  keys: ({ ref }, view) => {
    const ledger = view.index(ledgerOf)
    const address = addressOfClaimName(ref.name)
    const pool = address === undefined ? undefined : ledger.poolOf(address)
    return pool === undefined ? [] : whomItServes(ledger, pool)
  }
})
