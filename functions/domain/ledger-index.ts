import { type Change, defineIndex, type Index } from "#runtime"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "./kinds.ts"
import { Ledger, type LedgerChange } from "./ledger.ts"
import type { Settings } from "./settings.ts"

/** What a function that uses the ledger must declare that it reads. */
export const ledgerReads = [IpClaimPool, IpClaim, Service, Namespace, Node] as const

const made = new WeakMap<Settings, Index<Ledger>>()

/** The ledger, kept up to date by the host: one per process, whichever functions use it. */
export const ledgerIndex = (settings: Settings): Index<Ledger> => {
  const index = made.get(settings) ?? makeIndex(settings)
  made.set(settings, index)
  return index
}

const makeIndex = (settings: Settings): Index<Ledger> =>
  defineIndex({
    name: "extip/ledger",
    reads: ledgerReads,
    make: () => {
      const state = new Ledger(settings)
      return {
        state,
        apply: ({ kind, key, before, after }: Change) =>
          state.apply({ kind: kind.kind, key, before, after } as LedgerChange)
      }
    }
  })
