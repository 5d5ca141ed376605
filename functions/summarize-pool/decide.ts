import type { Judgement } from "../domain/conditions.ts"
import type { IpClaimPool } from "../domain/kinds.ts"
import type { PoolEntry } from "../domain/ledger.ts"

/** Above so many addresses in use the map is left out: an object may be 1.5 MB at most, and everybody reads it whole. */
export const largestMap = 4_096

/** What a pool's status says of its addresses. */
export interface Summary {
  readonly allocated: Readonly<Record<string, string>> | undefined
  readonly used: number
  readonly available: number
  readonly capacity: number
  readonly exhausted: Judgement
}

/** Derived from the claims alone, so that it can be thrown away and made again at any time. */
export const summarize = (pool: PoolEntry): Summary => {
  const { used, available, capacity } = pool
  const shown = used <= largestMap
  const generation = pool.object.metadata.generation
  const isExhausted = pool.addresses !== undefined && available === 0
  const rest = shown
    ? ""
    : `; allocated is left out above ${largestMap} addresses, see kubectl get ipclaims -l ip-pool-name=${pool.name}`
  return {
    allocated: shown ? Object.fromEntries(pool.claimed) : undefined,
    used,
    available,
    capacity,
    exhausted: {
      type: "Exhausted",
      status: isExhausted ? "True" : "False",
      reason: isExhausted ? "NoFreeAddress" : "FreeAddresses",
      message: `${used} of ${capacity} in use${rest}`,
      ...(generation === undefined ? {} : { observedGeneration: generation })
    }
  }
}

/** Whether the pool's status says this already. */
export const isSaid = (pool: IpClaimPool, { allocated, used, available, capacity }: Summary): boolean => {
  const said = pool.status
  if (said?.used !== used || said.available !== available || said.capacity !== capacity) return false
  if (said.conditions?.some(({ type }) => type === "Exhausted") !== true) return false
  if (allocated === undefined) return said.allocated === undefined
  const before = said.allocated ?? {}
  const names = Object.keys(allocated)
  return (
    names.length === Object.keys(before).length && names.every((name) => before[name] === allocated[name])
  )
}
