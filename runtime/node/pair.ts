import type { FleetLink } from "../Fleet.ts"
import type { Assignment } from "../fleet/messages.ts"
import { familyOf, ownAddress } from "./peers.ts"
import { notSilent, type Silence } from "./watch.ts"

/** A claim that this node stands by for. */
export interface Standing {
  readonly assignment: Assignment
  /** The link of ours on which it would be held. */
  readonly index: number
  /** When its holder was heard to have it last; −∞ for never. What was never seen is never taken. */
  seenAt: number
}

/** What a round asks for. */
export interface Sample {
  readonly index: number
  /** The holder's MAC there. */
  readonly mac: string
  /** Its own address, if it has one there. */
  readonly own: string | undefined
  readonly standing: Standing | undefined
  /** Others that it holds, which are due to be seen. */
  readonly others: ReadonlyArray<Standing>
}

/** One node that this node stands by for, and everything that it would take over from it. */
export class Pair {
  readonly node: string
  /** Claim → standing */
  readonly standings = new Map<string, Standing>()
  silence: Silence = notSilent
  /** When the holder was heard last, of itself. */
  heardAt = Number.NEGATIVE_INFINITY
  /** When it was last tried to take what was never seen. */
  triedAt = Number.NEGATIVE_INFINITY
  /** What the last round asked for: while the holder is silent, the same is asked for again. */
  #last: Standing | undefined
  #turn: Array<Standing> = []

  constructor(node: string) {
    this.node = node
  }

  get macs(): ReadonlySet<string> {
    return this.#macs
  }
  #macs: ReadonlySet<string> = new Set()

  /** Chooses what to ask for next. What it costs does not depend on how many addresses the holder has. */
  sample(
    links: ReadonlyArray<FleetLink>,
    fits: typeof import("../fleet/fittingLink.ts").fittingLink,
    most: number
  ) {
    this.#macs = new Set(links.map(({ mac }) => mac))
    const isHere = (standing: Standing | undefined) =>
      standing !== undefined && this.standings.get(standing.assignment.claim) === standing
    if (this.#turn.length === 0) this.#turn = [...this.standings.values()]
    const others: Array<Standing> = []
    while (others.length < most && this.#turn.length > 0) {
      const next = this.#turn.pop()
      if (next !== undefined && isHere(next)) others.push(next)
    }
    const isSilent = this.silence.claim > 0 && isHere(this.#last)
    const last = isHere(this.#last) ? this.#last : undefined
    const lead = isSilent ? last : (others[0] ?? last)
    // One link at a time: what is on another one has its turn in the next rounds.
    const together = others.filter(({ index }) => index === lead?.index)
    this.#turn.push(...others.filter(({ index }) => index !== lead?.index).reverse())
    const seen = together.find(({ seenAt }) => seenAt > Number.NEGATIVE_INFINITY)
    const standing = isSilent ? last : (seen ?? (last?.index === lead?.index ? last : lead))
    this.#last = standing
    if (standing === undefined) return undefined
    const { address, link } = standing.assignment
    const theirs = fits(
      links.map((one) => ({ ...one, carrier: true })),
      address,
      link
    )
    if (theirs === undefined) return undefined
    return {
      index: standing.index,
      mac: theirs.mac,
      own: ownAddress(theirs, familyOf(address)),
      standing,
      others: together
    } satisfies Sample
  }
}
