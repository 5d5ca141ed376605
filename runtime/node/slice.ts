import type { Assignment } from "../fleet/messages.ts"

/**
 * What this node must do, claim by claim.
 *
 * The bucket may be empty or an old copy when it is read anew, so until it is known to be whole, and to take into
 * account what this node holds, it can only add: nothing is taken away because it is absent there, or stands there
 * with an older term. From then on it is followed to the letter.
 */
export class Slice {
  /** Claim → assignment, as we go by it */
  readonly #effective = new Map<string, Assignment>()
  /** Address → claim */
  readonly #claims = new Map<string, string>()
  /** Claim → assignment, as the bucket has it now */
  readonly #heard = new Map<string, Assignment>()
  /** Claim → the node that has been given it instead of this one */
  readonly #movedTo = new Map<string, string>()
  readonly #holds: (claim: string) => boolean
  readonly #changed: (claim: string, assignment: Assignment | undefined) => void
  #isWhole = false
  /** The node is cordoned: what it holds is handed over when it stops. */
  draining = false

  constructor(
    holds: (claim: string) => boolean,
    changed: (claim: string, assignment: Assignment | undefined) => void
  ) {
    this.#holds = holds
    this.#changed = changed
  }

  get isWhole(): boolean {
    return this.#isWhole
  }

  find(claim: string): Assignment | undefined {
    return this.#effective.get(claim)
  }

  /** By address: an address is in one claim. */
  at(address: string): Assignment | undefined {
    const claim = this.#claims.get(address)
    return claim === undefined ? undefined : this.#effective.get(claim)
  }

  /** Who has been given a claim that is no longer this node's; `undefined` when it is nobody's, as far as is known. */
  movedTo(claim: string): string | undefined {
    return this.#movedTo.get(claim)
  }

  get all(): ReadonlyArray<Assignment> {
    return [...this.#effective.values()]
  }

  /** The bucket is read anew: it may be another one. */
  begin(): void {
    this.#heard.clear()
    this.#movedTo.clear()
    this.#isWhole = false
    this.draining = false
  }

  put(assignment: Assignment): void {
    const { claim, role, term } = assignment
    this.#heard.set(claim, assignment)
    this.#movedTo.delete(claim)
    const before = this.#effective.get(claim)
    const takesAway = role === "standby" && this.#holds(claim)
    if (!this.#isWhole && (takesAway || (before !== undefined && term < before.term))) return
    this.#set(claim, assignment)
  }

  gone(claim: string, movedTo?: string): void {
    this.#heard.delete(claim)
    if (movedTo === undefined) this.#movedTo.delete(claim)
    else this.#movedTo.set(claim, movedTo)
    if (this.#isWhole) this.#set(claim, undefined)
  }

  /** The bucket holds everything that this node is to hold, given what it holds now. */
  whole(): void {
    this.#isWhole = true
    for (const claim of [...this.#effective.keys()]) if (!this.#heard.has(claim)) this.#set(claim, undefined)
    for (const [claim, assignment] of this.#heard) this.#set(claim, assignment)
  }

  #set(claim: string, assignment: Assignment | undefined): void {
    const before = this.#effective.get(claim)
    if (isSame(before, assignment)) return
    if (before !== undefined) this.#claims.delete(before.address)
    if (assignment === undefined) this.#effective.delete(claim)
    else {
      this.#effective.set(claim, assignment)
      this.#claims.set(assignment.address, claim)
    }
    this.#changed(claim, assignment)
  }
}

const isSame = (one: Assignment | undefined, other: Assignment | undefined): boolean =>
  one === other ||
  (one !== undefined &&
    other !== undefined &&
    one.role === other.role &&
    one.term === other.term &&
    one.address === other.address &&
    one.holder === other.holder &&
    one.standby === other.standby &&
    one.link === other.link)
