import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type { Cidr } from "./addresses.ts"
import { FreeAddresses } from "./free-addresses.ts"
import type { IpClaimPool } from "./kinds.ts"
import type { PoolAddresses } from "./pool-addresses.ts"
import { addressesOf, countOf, type PoolFault } from "./pools.ts"
import { WaitingQueue } from "./waiting.ts"

/** A pool, as it stands in the ledger: what it consists of, what of it is in use, and who waits for it. */
export interface PoolEntry {
  readonly name: string
  readonly object: IpClaimPool
  /** `undefined` when the spec describes none (`faults` says why). */
  readonly addresses: PoolAddresses | undefined
  /** Everything that is wrong with it, overlaps with older pools included. Empty: it is valid. */
  readonly faults: ReadonlyArray<PoolFault>
  /** Whether it is valid and not being deleted. If not, it gives nothing new and takes nothing back. */
  readonly gives: boolean
  /** Address → name of the claim that holds it, for every address of the pool in use. */
  readonly claimed: ReadonlyMap<string, string>
  /** How many addresses the pool can give out; 2^53 - 1 stands for that many or more, as in `available`. */
  readonly capacity: number
  readonly used: number
  /** How many addresses nobody holds, and nothing forbids to give out. */
  readonly available: number
}

/** Whether the pool's status says other numbers than the ledger. */
export const countsOtherwise = ({ object, available, used }: PoolEntry): boolean =>
  object.status?.available !== available || object.status.used !== used

/** What the ledger tells an entry about addresses when the entry counts afresh. */
export interface Occupancy {
  /** Canonical address → how many claims, nodes and clusterIPs it is taken by. */
  readonly taken: ReadonlyMap<string, number>
  /** Address → claim name. */
  readonly claims: Iterable<readonly [address: string, claim: string]>
  /** Networks in which nothing is given out. */
  readonly closed: ReadonlyArray<Cidr>
}

const subsetOf = ({ cidr, ranges, avoidBuggyIPs }: IpClaimPool["spec"]): string =>
  JSON.stringify([cidr, ranges, avoidBuggyIPs ?? false])

/** The ledger's own entry, kept up to date address by address. */
export class LivePool implements PoolEntry {
  readonly name: string
  object: IpClaimPool
  addresses: PoolAddresses | undefined
  readonly claimed = new Map<string, string>()
  readonly waiting = new WaitingQueue()
  /** Name of an older pool → what they have in common. */
  readonly overlaps = new Map<string, PoolFault>()
  private specFaults: ReadonlyArray<PoolFault> = []
  private free: FreeAddresses | undefined
  private takenCount = 0

  constructor(object: IpClaimPool, occupancy: Occupancy) {
    this.name = object.metadata.name
    this.object = object
    this.describe(occupancy)
  }

  get faults(): ReadonlyArray<PoolFault> {
    return this.overlaps.size === 0
      ? this.specFaults
      : [...this.specFaults, ...[...this.overlaps].sort().map(([, fault]) => fault)]
  }

  get gives(): boolean {
    return (
      this.addresses !== undefined &&
      this.overlaps.size === 0 &&
      this.object.metadata.deletionTimestamp === undefined
    )
  }

  get capacity(): number {
    return countOf(this.addresses?.capacity ?? 0n)
  }

  get used(): number {
    return this.claimed.size
  }

  get available(): number {
    return this.free === undefined ? 0 : countOf(this.free.addresses.capacity - BigInt(this.takenCount))
  }

  /** Takes over a changed object. True when it describes other addresses than before. */
  update(object: IpClaimPool, occupancy: () => Occupancy): boolean {
    const same = subsetOf(object.spec) === subsetOf(this.object.spec)
    this.object = object
    if (same) return false
    this.describe(occupancy())
    return true
  }

  /** Reads the spec, and counts afresh. */
  describe({ taken, claims, closed }: Occupancy): void {
    const read = addressesOf(this.object.spec)
    this.addresses = Option.getOrUndefined(Result.getSuccess(read))
    this.specFaults = Result.isFailure(read) ? read.failure : []
    this.free = this.addresses === undefined ? undefined : new FreeAddresses(this.addresses.without(closed))
    this.takenCount = 0
    this.claimed.clear()
    for (const address of taken.keys()) if (this.offers(address)) this.takenCount++
    for (const [address, claim] of claims) if (this.contains(address)) this.claimed.set(address, claim)
  }

  contains(address: string): boolean {
    return this.addresses?.contains(address) ?? false
  }

  /** Whether the address is one that could be given out if it were free. */
  offers(address: string): boolean {
    return this.free?.addresses.contains(address) ?? false
  }

  lowestFree(isTaken: (address: string) => boolean): Option.Option<string> {
    return this.free?.lowest(isTaken) ?? Option.none()
  }

  /** The address is no longer taken by anybody, nor reserved. */
  freed(address: string): void {
    this.free?.freed(address)
  }

  countTaken(address: string, by: 1 | -1): void {
    if (this.offers(address)) this.takenCount += by
  }
}
