import type { Service } from "./kinds.ts"
import type { Addresses, Auto } from "./requests.ts"

/** A Service that asks for an address and has none. */
export interface Waiting {
  /** `namespace/name`. */
  readonly key: string
  readonly namespace: string
  readonly name: string
  /** The Service's creationTimestamp. */
  readonly since: string
  readonly labels: { readonly [name: string]: string }
  readonly request: Auto | Addresses
}

export interface Age {
  readonly since: string
  readonly key: string
}

export const ageOf = ({ metadata: { namespace = "", name, creationTimestamp } }: Service): Age => ({
  since: creationTimestamp,
  key: `${namespace}/${name}`
})

/** Oldest first; Services of the same second by namespace and name. */
export const byAge = (one: Age, other: Age): number =>
  one.since < other.since
    ? -1
    : one.since > other.since
      ? 1
      : one.key < other.key
        ? -1
        : one.key > other.key
          ? 1
          : 0

/**
 * Waiting Services in the order of their age. Many that are added between two looks are sorted once; one that is added
 * to, or taken from, ten thousand moves a few kilobytes of memory, which is cheaper than a tree up to some 100,000.
 */
export class WaitingQueue {
  private sorted: Array<Waiting> = []
  private added: Array<Waiting> = []

  add(waiting: Waiting): void {
    this.added.push(waiting)
  }

  remove(waiting: Waiting): void {
    const sorted = this.inOrder()
    const at = placeOf(sorted, waiting)
    if (sorted[at]?.key !== waiting.key) return
    if (at === 0) sorted.shift()
    else sorted.splice(at, 1)
  }

  clear(): void {
    this.sorted = []
    this.added = []
  }

  /** How many are older than this one. */
  countOlder(age: Age): number {
    return placeOf(this.inOrder(), age)
  }

  /** All of them, oldest first. Not to be changed, nor held while the queue changes. */
  inOrder(): Array<Waiting> {
    if (this.added.length > 32) {
      this.sorted = [...this.sorted, ...this.added].sort(byAge)
    } else {
      for (const waiting of this.added) this.sorted.splice(placeOf(this.sorted, waiting), 0, waiting)
    }
    if (this.added.length > 0) this.added = []
    return this.sorted
  }
}

/** Where it is, or would have to be put. */
const placeOf = (sorted: ReadonlyArray<Waiting>, age: Age): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (byAge(sorted[middle]!, age) < 0) low = middle + 1
    else high = middle
  }
  return low
}
