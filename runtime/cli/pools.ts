import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import { ledgerIndex, ledgerReads } from "../../functions/domain/ledger-index.ts"
import type { Settings } from "../../functions/domain/settings.ts"
import type { FunctionDefinition } from "../Function.ts"
import { kindsOf } from "../host/kinds.ts"
import type { View } from "../View.ts"

const size = Metric.gauge("extip_pool_size", { description: "Addresses that the pool can give out" })
const used = Metric.gauge("extip_pool_used", { description: "Addresses of the pool that are in use" })
const available = Metric.gauge("extip_pool_available", { description: "Addresses of the pool that are free" })

/** Sets the pools' gauges to what the view says now. Every host tells the same, whichever functions are active on it. */
export const observePools = (
  view: () => View | undefined,
  functions: ReadonlyArray<FunctionDefinition<any>>,
  settings: Settings
): ((context: Context.Context<never>) => void) => {
  const ledgerOf = ledgerIndex(settings)
  const kinds = kindsOf(functions)
  const readsPools = ledgerReads.every((kind) => kinds.includes(kind))
  const known = new Set<string>()
  return (context) => {
    const present = readsPools ? view() : undefined
    if (present === undefined) return
    const ledger = present.index(ledgerOf)
    for (const { name } of ledger.pools) known.add(name)
    for (const name of known) {
      // A pool that is gone has nothing: a series cannot be taken back.
      const pool = ledger.pool(name)
      const set = (gauge: Metric.Gauge<number>, value: number) =>
        Metric.withAttributes(gauge, { pool: name }).updateUnsafe(value, context)
      set(size, pool?.capacity ?? 0)
      set(used, pool?.used ?? 0)
      set(available, pool?.available ?? 0)
    }
  }
}
