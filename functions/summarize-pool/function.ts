import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defineFunction, Kube, patchStatus, read, refOf, type Wakes } from "#runtime"
import { addressOfClaimName } from "../domain/addresses.ts"
import { withJudgement } from "../domain/conditions.ts"
import { IpClaim, IpClaimPool, Node } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { countsOtherwise } from "../domain/pool-entry.ts"
import type { Settings } from "../domain/settings.ts"
import { isSaid, summarize } from "./decide.ts"

/**
 * Keeps a pool's status in step with its claims: who has which address, how many are used and left.
 *
 * Reads   the pool and its claims; Nodes, whose addresses are not left for anybody.
 * Writes  `status.allocated`, `capacity`, `used`, `available` and the condition `Exhausted`, once a second at most.
 * Repeat  harmless: it is derived anew each time, and written only where it differs.
 */
export const summarizePool = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  const poolsOfClaim: Wakes<IpClaim, IpClaimPool> = {
    kind: IpClaimPool,
    keys: ({ ref, now }, view) => {
      const address = addressOfClaimName(ref.name)
      const ledger = view.index(ledgerOf)
      const around = address === undefined ? undefined : ledger.poolOf(address)?.name
      const names = new Set([around, now?.spec.pool].filter((name) => name !== undefined))
      return Array.from(names, (name) => ({ namespace: "", name }))
    }
  }
  const poolsThatCountOtherwise: Wakes<any, IpClaimPool> = {
    kind: IpClaimPool,
    keys: (_event, view) =>
      view
        .index(ledgerOf)
        .pools.filter(countsOtherwise)
        .map(({ name }) => ({ namespace: "", name }))
  }
  return defineFunction({
    name: "summarize-pool",
    on: [
      IpClaimPool.specChanged,
      IpClaimPool.changed.wakes(poolsThatCountOtherwise),
      IpClaim.changed.wakes(poolsOfClaim),
      IpClaim.deleted.wakes(poolsOfClaim),
      Node.changed.wakes(poolsThatCountOtherwise),
      Node.deleted.wakes(poolsThatCountOtherwise)
    ],
    needs: [read(...ledgerReads), patchStatus(IpClaimPool)],
    debounceMillis: 1_000,
    handle: Effect.fnUntraced(function* (pool: IpClaimPool) {
      const kube = yield* Kube
      const entry = kube.index(ledgerOf).pool(pool.metadata.name)
      if (entry === undefined) return
      const summary = summarize(entry)
      if (isSaid(pool, summary)) return
      const now = new Date(yield* Clock.currentTimeMillis).toISOString().replace(/\.\d+Z$/, "Z")
      const conditions = withJudgement(pool.status?.conditions ?? [], summary.exhausted, now)
      const { allocated, used, available, capacity } = summary
      yield* kube.applyStatus(
        IpClaimPool,
        refOf(pool),
        { uid: pool.metadata.uid },
        {
          ...(allocated === undefined ? {} : { allocated }),
          used,
          available,
          capacity,
          conditions: conditions.filter(({ type }) => type === "Exhausted")
        }
      )
      return `${used} of ${capacity} in use`
    })
  })
}
