import { type Cidr, familyOf, numberOf } from "./addresses.ts"
import type { IpClaimPool } from "./kinds.ts"
import { LivePool, type Occupancy } from "./pool-entry.ts"
import { overlapFault, overrules } from "./pools.ts"

const priorityOf = (pool: LivePool): number => pool.object.spec.priority ?? 0

const byPriority = (one: LivePool, other: LivePool): number =>
  priorityOf(other) - priorityOf(one) || (one.name < other.name ? -1 : 1)

/** What decides which Services may use a pool, and in which order it is tried. */
const admissionOf = ({ spec, metadata }: IpClaimPool): string => {
  const { namespaces, namespaceSelector, serviceSelector, autoAssign, priority } = spec
  return JSON.stringify([
    [namespaces, namespaceSelector, serviceSelector, autoAssign ?? true, priority ?? 0],
    metadata.deletionTimestamp === undefined
  ])
}

/** All pools, which of them overlap, and the order in which they are tried. */
export class PoolIndex {
  private readonly entries = new Map<string, LivePool>()
  private sorted: ReadonlyArray<LivePool> = []
  private readonly occupancy: () => Occupancy

  constructor(occupancy: () => Occupancy) {
    this.occupancy = occupancy
  }

  get(name: string): LivePool | undefined {
    return this.entries.get(name)
  }

  /** By priority, the highest first, then by name. */
  inOrder(): ReadonlyArray<LivePool> {
    return this.sorted
  }

  /** The pools whose spec contains the address, valid or not. */
  around(address: string): ReadonlyArray<LivePool> {
    const family = familyOf(address)
    const number = numberOf(address)
    return this.sorted.filter(
      ({ addresses }) => addresses?.family === family && addresses.containsNumber(number)
    )
  }

  /** Takes over a pool's new state. Answers with the pools that other Services than before may use. */
  apply(name: string, after: IpClaimPool | undefined): ReadonlyArray<LivePool> {
    const present = this.entries.get(name)
    if (after === undefined) {
      if (present === undefined) return []
      this.entries.delete(name)
      this.sort()
      return this.judgeOverlaps(present)
    }
    if (present === undefined) {
      const entry = new LivePool(after, this.occupancy())
      this.entries.set(name, entry)
      this.sort()
      return [entry, ...this.judgeOverlaps(entry)]
    }
    const before = present.object
    const otherAddresses = present.update(after, this.occupancy)
    const otherAge = before.metadata.creationTimestamp !== after.metadata.creationTimestamp
    const otherAdmission = admissionOf(before) !== admissionOf(after)
    if (otherAdmission) this.sort()
    const others = otherAddresses || otherAge || otherAdmission ? this.judgeOverlaps(present) : []
    return otherAddresses || otherAdmission ? [...new Set([present, ...others])] : others
  }

  /** Counts afresh those pools that have addresses in the given networks. */
  networksChanged(changed: ReadonlyArray<Cidr>): void {
    for (const entry of this.sorted) {
      const { addresses } = entry
      if (addresses !== undefined && addresses.without(changed) !== addresses)
        entry.describe(this.occupancy())
    }
  }

  private sort(): void {
    this.sorted = [...this.entries.values()].sort(byPriority)
  }

  /** Compares one pool with all others, both ways. Answers with those that became valid or invalid by it. */
  private judgeOverlaps(changed: LivePool): ReadonlyArray<LivePool> {
    const there = this.entries.get(changed.name) === changed
    const affected: Array<LivePool> = []
    const judge = (younger: LivePool, older: LivePool) => {
      const gave = younger.gives
      younger.overlaps.delete(older.name)
      if (there && overrules(older.object, younger.object)) {
        const fault =
          younger.addresses &&
          older.addresses &&
          overlapFault(younger.addresses, { name: older.name, addresses: older.addresses })
        if (fault !== undefined) younger.overlaps.set(older.name, fault)
      }
      if (younger.gives !== gave) affected.push(younger)
    }
    for (const other of this.sorted) {
      if (other === changed) continue
      judge(other, changed)
      judge(changed, other)
    }
    return affected
  }
}
