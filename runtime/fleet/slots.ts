import type { Placement } from "../Fleet.ts"
import type { Assignment } from "./messages.ts"

/** The keys of one claim in `assignments`. */
interface Slot {
  /** Of any of its keys, deletions included. */
  last: number
  /** Node → its key */
  readonly keys: Map<string, { readonly sequence: number; readonly assignment: Assignment }>
}

const nobody: ReadonlySet<string> = new Set()

/** What is placed where: derived from the keys of `assignments`, with the counts of each node kept on the way. */
export class Slots {
  /** Claim → its placement; a claim without keys has none. */
  readonly placements = new Map<string, Placement>()
  readonly #slots = new Map<string, Slot>()
  /** Node → the claims that it is to hold, to stand by for */
  readonly #holders = new Map<string, Set<string>>()
  readonly #standbys = new Map<string, Set<string>>()

  clear(): void {
    this.placements.clear()
    this.#slots.clear()
    this.#holders.clear()
    this.#standbys.clear()
  }

  heldBy(node: string): ReadonlySet<string> {
    return this.#holders.get(node) ?? nobody
  }

  standingBy(node: string): ReadonlySet<string> {
    return this.#standbys.get(node) ?? nobody
  }

  lastSequence(claim: string): number {
    return this.#slots.get(claim)?.last ?? 0
  }

  lastLiveSequence(claim: string): number {
    let last = 0
    for (const { sequence } of this.#slots.get(claim)?.keys.values() ?? []) last = Math.max(last, sequence)
    return last
  }

  keysOf(claim: string): Iterable<string> {
    return this.#slots.get(claim)?.keys.keys() ?? []
  }

  /** Puts a key in, or takes it out. False when that, or something newer of the claim, is in already. */
  apply(sequence: number, node: string, claim: string, assignment: Assignment | undefined): boolean {
    let slot = this.#slots.get(claim)
    if (slot === undefined) {
      slot = { last: 0, keys: new Map() }
      this.#slots.set(claim, slot)
    }
    if (sequence <= slot.last) return false
    slot.last = sequence
    if (assignment === undefined) slot.keys.delete(node)
    else slot.keys.set(node, { sequence, assignment })
    this.#place(claim, placementOf(slot))
    return true
  }

  #place(claim: string, after: Placement | undefined): void {
    const before = this.placements.get(claim)
    if (samePlacement(before, after)) return
    if (after === undefined) this.placements.delete(claim)
    else this.placements.set(claim, after)
    move(this.#holders, claim, before?.holder, after?.holder)
    move(this.#standbys, claim, before?.standby, after?.standby)
  }
}

/** Every key of a placement tells all of it; one that was written later is the placement. */
const placementOf = (slot: Slot): Placement | undefined => {
  let newest: { readonly sequence: number; readonly assignment: Assignment } | undefined
  for (const key of slot.keys.values()) {
    if (newest === undefined || key.sequence > newest.sequence) newest = key
  }
  if (newest === undefined) return undefined
  const { claim, address, holder, standby, link, term } = newest.assignment
  return { claim, address, holder, standby, link, term }
}

const samePlacement = (one: Placement | undefined, other: Placement | undefined): boolean =>
  one === other ||
  (one !== undefined &&
    other !== undefined &&
    one.term === other.term &&
    one.holder === other.holder &&
    one.standby === other.standby &&
    one.address === other.address &&
    one.link === other.link)

const move = (
  claims: Map<string, Set<string>>,
  claim: string,
  from: string | undefined,
  to: string | undefined
): void => {
  if (from === to) return
  if (from !== undefined) {
    const left = claims.get(from)
    left?.delete(claim)
    if (left?.size === 0) claims.delete(from)
  }
  if (to === undefined) return
  const joined = claims.get(to)
  if (joined === undefined) claims.set(to, new Set([claim]))
  else joined.add(claim)
}
