import * as Result from "effect/Result"
import {
  addressOf,
  type Cidr,
  canonicalAddress,
  cidrContains,
  explainAddress,
  explainCidr,
  numberOf,
  parseCidr
} from "./addresses.ts"
import type { IpClaimPool, PoolSpec } from "./kinds.ts"
import { higher, intersection, PoolAddresses, plus, type Stretch } from "./pool-addresses.ts"

/** What makes a pool invalid. `reason` is the condition's; `message` says what is wrong and what would be right. */
export interface PoolFault {
  readonly reason: "InvalidCidr" | "RangeOutsideCidr" | "RangeReversed" | "RangesOverlap" | "OverlapsPool"
  readonly message: string
}

const fault = (reason: PoolFault["reason"], message: string): PoolFault => ({ reason, message })

/** First and last address that the cidr offers; see `PoolAddresses` for what it does not. */
const usableOf = (cidr: Cidr): Stretch => {
  const spare = cidr.family === "IPv4" ? 31 : 127
  if (cidr.prefix >= spare) return cidr
  return { first: plus(cidr.first, 1), last: cidr.family === "IPv4" ? plus(cidr.last, -1) : cidr.last }
}

const show = (first: string, last: string): string => `[${first}, ${last}]`

/** The range as numbers, or what is wrong with it. */
const readRange = (range: ReadonlyArray<string>, cidr: Cidr): Result.Result<Stretch, PoolFault> => {
  const [from, to] = range
  if (from === undefined || to === undefined || range.length !== 2) {
    return Result.fail(
      fault(
        "RangeOutsideCidr",
        `the range [${range.join(", ")}] is no pair; write its first and its last address`
      )
    )
  }
  const [first, last] = [canonicalAddress(from), canonicalAddress(to)]
  if (first === undefined || last === undefined) {
    return Result.fail(fault("RangeOutsideCidr", explainAddress(first === undefined ? from : to)))
  }
  for (const end of [first, last]) {
    if (!cidrContains(cidr, end)) {
      const bounds = `${addressOf(cidr.first)} to ${addressOf(cidr.last)}`
      return Result.fail(
        fault(
          "RangeOutsideCidr",
          `${end} of the range ${show(first, last)} is outside of ${cidr.text} (${bounds})`
        )
      )
    }
  }
  const stretch = { first: numberOf(first), last: numberOf(last) }
  return stretch.first <= stretch.last
    ? Result.succeed(stretch)
    : Result.fail(
        fault("RangeReversed", `the range ${show(first, last)} is reversed; write ${show(last, first)}`)
      )
}

const overlapsAmong = (ascending: ReadonlyArray<Stretch>): ReadonlyArray<PoolFault> =>
  ascending.flatMap((stretch, index) => {
    const next = ascending[index + 1]
    if (next === undefined || next.first > stretch.last) return []
    const [one, other] = [stretch, next].map(({ first, last }) => show(addressOf(first), addressOf(last)))
    const joint = show(addressOf(stretch.first), addressOf(higher(stretch.last, next.last)))
    return [fault("RangesOverlap", `the ranges ${one} and ${other} overlap; write ${joint} instead of both`)]
  })

/** The addresses that a pool's spec describes, or everything that is wrong with it. */
export const addressesOf = (
  spec: Pick<PoolSpec, "cidr" | "ranges" | "avoidBuggyIPs">
): Result.Result<PoolAddresses, ReadonlyArray<PoolFault>> => {
  const cidr = parseCidr(spec.cidr)
  if (cidr === undefined) return Result.fail([fault("InvalidCidr", explainCidr(spec.cidr))])
  const usable = usableOf(cidr)
  const read = (spec.ranges ?? [[addressOf(cidr.first), addressOf(cidr.last)]]).map((range) =>
    readRange(range, cidr)
  )
  const stretches = read.filter(Result.isSuccess).map((range) => range.success)
  stretches.sort((one, other) => (one.first < other.first ? -1 : one.first > other.first ? 1 : 0))
  const faults = [...read.filter(Result.isFailure).map((range) => range.failure), ...overlapsAmong(stretches)]
  if (faults.length > 0) return Result.fail(faults)
  const within = stretches
    .map((stretch) => intersection(stretch, usable))
    .filter((stretch) => stretch !== undefined)
  return Result.succeed(new PoolAddresses(cidr.family, within, spec.avoidBuggyIPs ?? false))
}

/** First and last address that two pools have in common; `undefined` when they have none. */
export const overlapOf = (
  one: PoolAddresses,
  other: PoolAddresses
): { readonly first: string; readonly last: string } | undefined => {
  if (one.family !== other.family) return undefined
  const common: Array<Stretch> = []
  for (let left = 0, right = 0; left < one.stretches.length && right < other.stretches.length; ) {
    const [a, b] = [one.stretches[left]!, other.stretches[right]!]
    const both = intersection(a, b)
    if (both !== undefined) common.push(both)
    if (a.last < b.last) left++
    else right++
  }
  return common.length === 0
    ? undefined
    : { first: addressOf(common[0]!.first), last: addressOf(common.at(-1)!.last) }
}

const isOlder = (one: IpClaimPool, other: IpClaimPool): boolean =>
  one.metadata.creationTimestamp === other.metadata.creationTimestamp
    ? one.metadata.name < other.metadata.name
    : one.metadata.creationTimestamp < other.metadata.creationTimestamp

/**
 * Whether `one` stays valid and `other` does not, should they overlap: the older (creationTimestamp, then name) does.
 * A pool that is being deleted is in nobody's way.
 */
export const overrules = (one: IpClaimPool, other: IpClaimPool): boolean =>
  one.metadata.name !== other.metadata.name &&
  one.metadata.deletionTimestamp === undefined &&
  isOlder(one, other)

/** What a pool has to say about an older one that it overlaps; `undefined` when it does not. */
export const overlapFault = (
  addresses: PoolAddresses,
  older: { readonly name: string; readonly addresses: PoolAddresses }
): PoolFault | undefined => {
  const common = overlapOf(addresses, older.addresses)
  if (common === undefined) return undefined
  const which = common.first === common.last ? common.first : `${common.first} to ${common.last}`
  return fault(
    "OverlapsPool",
    `${which} also belong to the older pool ${older.name}; leave them out of one of the two with spec.ranges`
  )
}

/** Everything that is wrong with a pool, given all the others; empty when it is valid. */
export const faultsOf = (pool: IpClaimPool, others: Iterable<IpClaimPool>): ReadonlyArray<PoolFault> => {
  const addresses = addressesOf(pool.spec)
  if (Result.isFailure(addresses)) return addresses.failure
  return [...others].flatMap((other) => {
    if (!overrules(other, pool)) return []
    const theirs = addressesOf(other.spec)
    if (Result.isFailure(theirs)) return []
    return overlapFault(addresses.success, { name: other.metadata.name, addresses: theirs.success }) ?? []
  })
}

/** A capacity as the API can show it: 2^53 - 1 stands for that many or more. */
export const countOf = (capacity: bigint): number =>
  capacity > Number.MAX_SAFE_INTEGER ? Number.MAX_SAFE_INTEGER : Number(capacity)
