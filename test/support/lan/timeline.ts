import type { Pinged } from "./questions.ts"

const lostAfterMillis = 1_000
/** An answer that does not tell which question is its own is one to those that were asked so recently. */
const onTheWayMillis = 200

/** When one address was asked, and when it answered. */
export class Timeline {
  readonly #sent: Array<number> = []
  /** For each that was sent; NaN until it is answered. */
  readonly #answered: Array<number> = []
  /** For each that was sent, by the observer's own clock: when, and once it is answered for how long it was not. */
  readonly #awake: Array<number> = []

  /** Returns its number. `awake`: by a clock that stands still while the observer does. */
  sent(at: number, awake = at): number {
    this.#answered.push(Number.NaN)
    this.#awake.push(awake)
    return this.#sent.push(at) - 1
  }

  answered(number: number, at: number, awake = at): void {
    if (!Number.isNaN(this.#answered[number])) return
    this.#answered[number] = at
    this.#awake[number] = awake - this.#awake[number]!
  }

  /** For answers that do not tell which question is theirs: all that are open. */
  answeredAll(at: number): void {
    for (let number = this.#sent.length - 1; number >= 0; number--) {
      if (!Number.isNaN(this.#answered[number]) || at - this.#sent[number]! > onTheWayMillis) return
      this.answered(number, at)
    }
  }

  since(mark: number, now: number): Pinged {
    const start = lowerBound(this.#sent, mark)
    let [lost, open, stalledMillis, longestGapMillis] = [0, 0, 0, 0]
    let last = this.#sent[start] ?? now
    for (let number = start; number < this.#sent.length; number++) {
      const [sent, answered] = [this.#sent[number]!, this.#answered[number]!]
      if (number > start) stalledMillis = Math.max(stalledMillis, sent - this.#sent[number - 1]!)
      const inTime = !Number.isNaN(answered) && this.#awake[number]! <= lostAfterMillis
      if (!inTime && now - sent > lostAfterMillis) lost++
      else if (!inTime) open++
      else {
        longestGapMillis = Math.max(longestGapMillis, answered - last)
        last = Math.max(last, answered)
      }
    }
    // What was sent last may still be under way.
    if (open + lost > 0) longestGapMillis = Math.max(longestGapMillis, (this.#sent.at(-1) ?? last) - last)
    return { sent: this.#sent.length - start, lost, open, longestGapMillis, stalledMillis }
  }
}

const lowerBound = (sorted: ReadonlyArray<number>, least: number): number => {
  let [low, high] = [0, sorted.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < least) low = middle + 1
    else high = middle
  }
  return low
}
