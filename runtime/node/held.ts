import type { Signature } from "./kernel/frames.ts"

/** An address that this node holds. */
export interface Held {
  readonly claim: string
  readonly address: string
  /** The link's index. */
  readonly index: number
  term: number
  /** By our own decision, because the holder was silent; no assignment says so yet. */
  taken: boolean
  /** When it came here; −∞ for what was found at the start. Monotonic, as all of these. */
  readonly since: number
  /** When the kernel's lifetime of it was set last. */
  renewedAt: number
  announcedAt: number
  /** How often it has been announced since it came here. */
  announcements: number
  /** Somebody else may hold it by now: it is neither renewed nor announced before it has been asked for. */
  doubted: boolean
}

export const newHeld = (
  what: Pick<Held, "claim" | "address" | "index" | "term" | "taken">,
  now: number
): Held => ({
  ...what,
  since: now,
  renewedAt: now,
  announcedAt: Number.NEGATIVE_INFINITY,
  announcements: 0,
  doubted: false
})

export const signatureOf = ({ term, taken }: Held): Signature => ({ term, taken, released: false })

/** What this node holds, by claim and by address. */
export class HeldTable {
  readonly #byClaim = new Map<string, Held>()
  readonly #byAddress = new Map<string, Held>()

  get size(): number {
    return this.#byClaim.size
  }

  get(claim: string): Held | undefined {
    return this.#byClaim.get(claim)
  }

  at(address: string): Held | undefined {
    return this.#byAddress.get(address)
  }

  /** Whether it is this very entry that stands there. */
  has(held: Held): boolean {
    return this.#byClaim.get(held.claim) === held
  }

  [Symbol.iterator](): IterableIterator<Held> {
    return this.#byClaim.values()
  }

  add(held: Held): void {
    this.#byClaim.set(held.claim, held)
    this.#byAddress.set(held.address, held)
  }

  delete(held: Held): boolean {
    if (!this.has(held)) return false
    this.#byClaim.delete(held.claim)
    this.#byAddress.delete(held.address)
    return true
  }
}
