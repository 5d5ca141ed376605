import { familyOf } from "./addresses.ts"
import type { ClaimIndex } from "./claim-index.ts"
import { whyNotEligible } from "./eligibility.ts"
import type { LivePool } from "./pool-entry.ts"
import type { PoolIndex } from "./pool-index.ts"
import type { TakenAddresses } from "./taken.ts"
import { type Age, byAge, type Waiting } from "./waiting.ts"
import type { WaitingServices } from "./waiting-services.ts"

interface World {
  readonly pools: PoolIndex
  readonly waiting: WaitingServices
  readonly claims: ClaimIndex
  readonly taken: TakenAddresses
  /** Whether anybody has the address, but for `but` (`namespace/name`), who lists it by hand. */
  readonly isTaken: (address: string, but: string) => boolean
}

/** How many addresses of the pool are neither taken nor reserved. */
export const freeCountOf = (pool: LivePool | undefined, { taken }: Pick<World, "taken">): number => {
  if (pool === undefined || !pool.gives) return 0
  let reserved = 0
  for (const address of taken.reserved()) if (pool.offers(address)) reserved++
  return Math.max(0, pool.available - reserved)
}

/** Whether a waiting Service could be served now, by an address of this pool among others. */
const couldTake = ({ key, namespace, labels, request }: Waiting, pool: LivePool, world: World): boolean => {
  if (world.taken.isReservedFor(key)) return false
  // Its host died, or its other address could not be had: of what it has it waits for nothing.
  const given = world.claims.givenTo(key)
  const applicant = world.waiting.applicant(namespace, labels)
  if (request._tag === "Addresses") {
    const open = request.addresses.filter((address) => !given.includes(address))
    const isOffered = (address: string): boolean =>
      !world.isTaken(address, key) &&
      world.pools
        .around(address)
        .some((each) => each.offers(address) && whyNotEligible(each, applicant, request) === undefined)
    return open.some((address) => pool.offers(address)) && open.every(isOffered)
  }
  const has = (family: string | undefined): boolean => given.some((address) => familyOf(address) === family)
  if (has(pool.addresses?.family)) return false
  const offers = (other: LivePool, family: string): boolean =>
    other.addresses?.family === family &&
    other.available > 0 &&
    whyNotEligible(other, applicant, request) === undefined
  const needed = (request.needsAll === true ? request.families : request.families.slice(0, 1)).filter(
    (family) => !has(family)
  )
  return (
    needed.length > 0 &&
    needed.every(
      (family) =>
        family === pool.addresses?.family || world.pools.inOrder().some((other) => offers(other, family))
    )
  )
}

/** How many who are older than `age` wait for the pool and could be served by it now; stops at `limit`. */
export const olderWaitingFor = (pool: LivePool, age: Age, limit: number, world: World): number => {
  let count = 0
  for (const waiting of pool.waiting.inOrder()) {
    if (count >= limit || byAge(waiting, age) >= 0) break
    if (couldTake(waiting, pool, world)) count++
  }
  return count
}

/** Whether the pool has an address left for one of this age when all older ones have got theirs. */
export const isTurnOf = (pool: LivePool, age: Age, world: World): boolean => {
  const free = freeCountOf(pool, world)
  if (free === 0) return false
  // All who stand before it, whatever they wait for, are seldom more than there is.
  return pool.waiting.countOlder(age) < free || olderWaitingFor(pool, age, free, world) < free
}

/** Those who are next: as many of the oldest that wait for the pool and could be served as it has addresses. */
export const nextInTurn = (pool: LivePool, world: World): ReadonlyArray<Waiting> => {
  const free = freeCountOf(pool, world)
  const next: Array<Waiting> = []
  if (free === 0) return next
  for (const waiting of pool.waiting.inOrder()) {
    if (next.length >= free) break
    if (couldTake(waiting, pool, world)) next.push(waiting)
  }
  return next
}
