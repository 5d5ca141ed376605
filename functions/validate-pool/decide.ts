import * as Result from "effect/Result"
import type { Judgement } from "../domain/conditions.ts"
import type { IpClaimPool } from "../domain/kinds.ts"
import { addressesOf, faultsOf, type PoolFault } from "../domain/pools.ts"

const amount = (capacity: bigint): string => `${capacity} ${capacity === 1n ? "address" : "addresses"}`

const described = (pool: IpClaimPool): string =>
  Result.match(addressesOf(pool.spec), {
    onSuccess: ({ capacity }) => `${amount(capacity)} can be given out`,
    onFailure: () => ""
  })

/**
 * The condition `Valid` that these faults amount to. Its reason is the first fault's; its message lists all of them,
 * each with what is wrong and what would be right.
 */
export const judge = (pool: IpClaimPool, faults: ReadonlyArray<PoolFault>): Judgement => {
  const [first] = faults
  return {
    type: "Valid",
    status: first === undefined ? "True" : "False",
    reason: first?.reason ?? "Usable",
    message: first === undefined ? described(pool) : faults.map(({ message }) => message).join("; "),
    ...(pool.metadata.generation === undefined ? {} : { observedGeneration: pool.metadata.generation })
  }
}

/**
 * Whether a pool may be used, given all other pools: it must describe addresses, and none that an older pool has.
 * An invalid pool gives no new address and takes none back.
 */
export const judgePool = (pool: IpClaimPool, others: Iterable<IpClaimPool>): Judgement =>
  judge(pool, faultsOf(pool, others))
