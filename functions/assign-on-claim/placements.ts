import type { FleetView, Place, Placement } from "#runtime"
import type { AssignPolicy } from "../domain/settings.ts"
import type { Demand } from "./demands.ts"

/** One node's addresses have so many standbys at most, so that what watching costs does not grow with the fleet. */
const standbysPerHolder = 4

type Placed = Pick<Placement, "holder" | "standby">

/**
 * What is placed where, with what has been decided since on top of it: who has the fewest, and whose standbys stand by
 * for how much.
 */
export class Placements {
  private readonly fleet: FleetView
  private readonly policy: AssignPolicy
  private readonly decided = new Map<string, Place>()
  /** Node → how many more, or fewer, it has by what was decided here */
  private readonly more = new Map<string, number>()
  /** Holder → standby → of how many of the holder's claims */
  private readonly pairs = new Map<string, Map<string, number>>()

  constructor(fleet: FleetView, policy: AssignPolicy) {
    this.fleet = fleet
    this.policy = policy
  }

  get changed(): ReadonlyArray<Place> {
    return [...this.decided.values()]
  }

  of(claim: string): Placed | undefined {
    return this.decided.get(claim) ?? this.fleet.placements.get(claim)
  }

  put(place: Place): void {
    const { claim, holder, standby } = place
    const before = this.of(claim)
    const pairs = holder === undefined ? undefined : this.pairsOf(holder)
    this.decided.set(claim, place)
    if (before?.holder !== undefined && before.standby !== undefined) {
      const had = this.pairs.get(before.holder)
      had?.set(before.standby, (had.get(before.standby) ?? 0) - 1)
    }
    if (pairs !== undefined && standby !== undefined) pairs.set(standby, (pairs.get(standby) ?? 0) + 1)
    if (before?.holder === holder) return
    for (const [node, by] of [
      [before?.holder, -1],
      [holder, 1]
    ] as const) {
      if (node === undefined) continue
      // Among those that it holds are addresses that were found on its links, placed there or not.
      const isCounted = this.fleet.heldBy(node).has(claim) === by < 0
      if (isCounted) this.more.set(node, (this.more.get(node) ?? 0) + by)
    }
  }

  /** The node to be given an address; `undefined` when there is none but `avoided`. */
  choose({ eligible }: Demand, avoided?: string): string | undefined {
    let fewest: string | undefined
    let least = Number.POSITIVE_INFINITY
    for (const node of eligible) {
      if (node === avoided) continue
      if (this.policy === "first-alive") return node
      const count = this.countOf(node)
      if (count < least) {
        fewest = node
        least = count
      }
    }
    return fewest
  }

  /**
   * The standby for one of a holder's claims: of those that stand by for the holder already the one with the least to
   * do, or, while these are fewer than four, one of the next by name. So each node stands by for about four others.
   * One that has the address on its link still is no standby before it has let go.
   */
  chooseStandby(
    claim: string,
    holder: string,
    { eligible }: Demand,
    can: (node: string) => boolean
  ): string | undefined {
    if (eligible.length === 0 || (eligible.length === 1 && eligible[0] === holder)) return undefined
    const pairs = this.pairsOf(holder)
    const fits = (node: string) => can(node) && this.fleet.inventories.get(node)?.held.has(claim) !== true
    const used = [...pairs].filter(([node, count]) => count > 0 && fits(node))
    if (used.length > standbysPerHolder) {
      used.sort(([one, count], [other, otherCount]) => otherCount - count || (one < other ? -1 : 1))
      used.length = standbysPerHolder
    }
    const among = new Set(used.map(([node]) => node))
    const start = positionAfter(eligible, holder)
    const distance = (node: string) =>
      (positionAfter(eligible, node) - 1 - start + 2 * eligible.length) % eligible.length
    for (let step = 0; step < eligible.length && among.size < standbysPerHolder; step++) {
      const node = eligible[(start + step) % eligible.length]!
      if (fits(node)) among.add(node)
    }
    let best: string | undefined
    for (const node of among) {
      const [count, least] = [pairs.get(node) ?? 0, pairs.get(best ?? "") ?? 0]
      const isBetter = best === undefined || count < least
      if (isBetter || (count === least && distance(node) < distance(best!))) best = node
    }
    return best
  }

  private countOf(node: string): number {
    return this.fleet.heldBy(node).size + (this.more.get(node) ?? 0)
  }

  private pairsOf(holder: string): Map<string, number> {
    const known = this.pairs.get(holder)
    if (known !== undefined) return known
    const pairs = new Map<string, number>()
    for (const claim of this.fleet.heldBy(holder)) {
      const placed = this.of(claim)
      if (placed?.holder !== holder || placed.standby === undefined) continue
      pairs.set(placed.standby, (pairs.get(placed.standby) ?? 0) + 1)
    }
    this.pairs.set(holder, pairs)
    return pairs
  }
}

/** Where the names after this one begin; at the start, when there is none. */
const positionAfter = (names: ReadonlyArray<string>, name: string): number => {
  let [low, high] = [0, names.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (names[middle]! > name) high = middle
    else low = middle + 1
  }
  return low
}
