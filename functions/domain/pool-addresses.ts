import { type AddressNumber, addressOf, type Cidr, type Family, familyOf, numberOf } from "./addresses.ts"

/** Addresses from `first` to `last`, both inclusive. */
export interface Stretch {
  readonly first: AddressNumber
  readonly last: AddressNumber
}

export const plus = (number: AddressNumber, steps: number): AddressNumber =>
  typeof number === "number" ? number + steps : number + BigInt(steps)

const lower = (one: AddressNumber, other: AddressNumber): AddressNumber => (other < one ? other : one)
export const higher = (one: AddressNumber, other: AddressNumber): AddressNumber => (one < other ? other : one)

/** What two stretches of one family have in common. */
export const intersection = (one: Stretch, other: Stretch): Stretch | undefined => {
  const first = higher(one.first, other.first)
  const last = lower(one.last, other.last)
  return first <= last ? { first, last } : undefined
}

const distance = (from: AddressNumber, to: AddressNumber): bigint => BigInt(to) - BigInt(from)

/**
 * Where to find .1 to .254 of every IPv4 /24 when they are numbered through from 0, and back: what is left of the
 * address space when addresses ending in .0 and .255 are avoided.
 */
const dense = (number: number): number => Math.floor(number / 256) * 254 + (number % 256) - 1
const sparse = (position: number): number => Math.floor(position / 254) * 256 + 1 + (position % 254)

/**
 * The addresses that a pool can give out, in ascending order and numbered through from 0.
 *
 * Never among them: network and broadcast address of an IPv4 cidr (except /31 and /32), the subnet-router anycast
 * address of an IPv6 cidr, which is its first (RFC 4291 §2.6.1; except /127 and /128), even where a range names them;
 * with `avoidBuggyIPs` (MetalLB's term) nor IPv4 addresses that end in .0 or .255.
 */
export class PoolAddresses {
  readonly family: Family
  readonly avoidsBuggy: boolean
  /** Ascending, disjoint. */
  readonly stretches: ReadonlyArray<Stretch>
  /** The exact number of addresses. */
  readonly capacity: bigint
  /** Offset of each stretch's first address. Exact up to 2^53; nobody counts up to what lies beyond. */
  private readonly starts: ReadonlyArray<number>

  constructor(family: Family, stretches: ReadonlyArray<Stretch>, avoidsBuggy: boolean) {
    this.family = family
    this.avoidsBuggy = avoidsBuggy && family === "IPv4"
    this.stretches = this.avoidsBuggy ? stretches.flatMap(withoutBuggyEnds) : stretches
    const starts: Array<number> = []
    let capacity = 0n
    for (const { first, last } of this.stretches) {
      starts.push(Number(capacity))
      capacity += this.avoidsBuggy
        ? BigInt(dense(last as number) - dense(first as number) + 1)
        : distance(first, last) + 1n
    }
    this.starts = starts
    this.capacity = capacity
  }

  /** Whether the address, in canonical form, is one of these. */
  contains(address: string): boolean {
    return familyOf(address) === this.family && this.containsNumber(numberOf(address))
  }

  /** As `contains`, for a number of this family. */
  containsNumber(number: AddressNumber): boolean {
    return this.stretchOf(number) >= 0
  }

  /** The address at this offset; `undefined` at and beyond the capacity. */
  nth(offset: number): string | undefined {
    if (offset >= this.capacity) return undefined
    let low = 0
    let high = this.starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.starts[middle]! <= offset) low = middle
      else high = middle - 1
    }
    const steps = offset - this.starts[low]!
    const { first } = this.stretches[low]!
    return addressOf(this.avoidsBuggy ? sparse(dense(first as number) + steps) : plus(first, steps))
  }

  /** The offset of an address; `undefined` when it is not one of these. */
  offsetOf(address: string): number | undefined {
    if (familyOf(address) !== this.family) return undefined
    const number = numberOf(address)
    const at = this.stretchOf(number)
    if (at < 0) return undefined
    const { first } = this.stretches[at]!
    const steps = this.avoidsBuggy
      ? dense(number as number) - dense(first as number)
      : Number(typeof number === "number" ? number - (first as number) : number - (first as bigint))
    return this.starts[at]! + steps
  }

  /** These addresses without those of the given networks. */
  without(networks: ReadonlyArray<Cidr>): PoolAddresses {
    const holes = networks.filter(
      ({ family, first, last }) =>
        family === this.family &&
        this.stretches.some((stretch) => stretch.first <= last && first <= stretch.last)
    )
    if (holes.length === 0) return this
    const left = holes.reduce<ReadonlyArray<Stretch>>(
      (stretches, hole) => stretches.flatMap((stretch) => cut(stretch, hole)),
      this.stretches
    )
    return new PoolAddresses(this.family, left, this.avoidsBuggy)
  }

  private stretchOf(number: AddressNumber): number {
    if (this.avoidsBuggy && (((number as number) & 255) === 0 || ((number as number) & 255) === 255))
      return -1
    let low = 0
    let high = this.stretches.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const { first, last } = this.stretches[middle]!
      if (number < first) high = middle - 1
      else if (number > last) low = middle + 1
      else return middle
    }
    return -1
  }
}

const cut = (stretch: Stretch, hole: Stretch): ReadonlyArray<Stretch> => {
  if (hole.last < stretch.first || stretch.last < hole.first) return [stretch]
  const below = hole.first > stretch.first ? [{ first: stretch.first, last: plus(hole.first, -1) }] : []
  const above = hole.last < stretch.last ? [{ first: plus(hole.last, 1), last: stretch.last }] : []
  return [...below, ...above]
}

function withoutBuggyEnds({ first, last }: Stretch): ReadonlyArray<Stretch> {
  const from = first as number
  const to = last as number
  const low = from % 256 === 0 ? from + 1 : from % 256 === 255 ? from + 2 : from
  const high = to % 256 === 255 ? to - 1 : to % 256 === 0 ? to - 2 : to
  return low <= high ? [{ first: low, last: high }] : []
}
