import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { defineFunction, Kube, patchStatus, read, refOf, type Wakes } from "#runtime"
import { withJudgement } from "../domain/conditions.ts"
import { IpClaimPool } from "../domain/kinds.ts"
import type { Settings } from "../domain/settings.ts"
import { judgePool } from "./decide.ts"

/** A pool that came, changed or went may overlap any other, or no longer. */
const allPools: Wakes<IpClaimPool, IpClaimPool> = {
  kind: IpClaimPool,
  keys: (_event, view) => Array.from(view.list(IpClaimPool), refOf)
}

/**
 * Says in the condition `Valid` whether a pool can be used, and if not, what is wrong and what would be right.
 *
 * Reads   all pools.
 * Writes  the pool's condition `Valid` and `observedGeneration`, and an Event when the verdict is another one.
 * Repeat  harmless: a verdict that stands there already is not written again.
 */
export const validatePool = (_settings: Settings) =>
  defineFunction({
    name: "validate-pool",
    on: [
      IpClaimPool.specChanged,
      IpClaimPool.specChanged.wakes(allPools),
      IpClaimPool.deleted.wakes(allPools)
    ],
    needs: [read(IpClaimPool), patchStatus(IpClaimPool)],
    handle: Effect.fnUntraced(function* (pool: IpClaimPool) {
      const kube = yield* Kube
      const verdict = judgePool(pool, kube.list(IpClaimPool))
      const present = pool.status?.conditions ?? []
      const now = new Date(yield* Clock.currentTimeMillis).toISOString().replace(/\.\d+Z$/, "Z")
      const conditions = withJudgement(present, verdict, now)
      if (conditions === present) return
      const mine = conditions.filter(({ type }) => type === verdict.type)
      const written = yield* kube.applyStatus(
        IpClaimPool,
        refOf(pool),
        { uid: pool.metadata.uid },
        {
          conditions: mine,
          ...(pool.metadata.generation === undefined ? {} : { observedGeneration: pool.metadata.generation })
        }
      )
      const before = present.find(({ type }) => type === verdict.type)
      if (before?.status !== verdict.status || before.reason !== verdict.reason) {
        yield* kube.note(IpClaimPool, written, {
          type: verdict.status === "True" ? "Normal" : "Warning",
          reason: verdict.status === "True" ? "PoolValid" : verdict.reason,
          message: verdict.message,
          once: `${verdict.message} ${pool.metadata.generation}`
        })
      }
      return `${verdict.status === "True" ? "valid" : verdict.reason}: ${verdict.message}`
    })
  })
