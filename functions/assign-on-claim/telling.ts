import * as Schema from "effect/Schema"
import { type Disposition, type Place, RetryAfter } from "#runtime"
import type { Decision } from "./decide.ts"

const shown = 3

const some = (sentences: ReadonlyArray<string>, what: string): ReadonlyArray<string> =>
  sentences.length <= shown
    ? sentences
    : [...sentences.slice(0, shown), `and ${sentences.length - shown} more ${what}`]

const tellPlace = ({ claim, holder, standby }: Place): string =>
  holder === undefined
    ? `took ${claim} off all nodes`
    : `placed ${claim} on ${holder} (${standby === undefined ? "no standby" : `standby ${standby}`})`

/** The decision as a sentence; empty when there is nothing to say. */
export const describe = ({ places, why }: Decision, gone: ReadonlyArray<string>): string =>
  [
    ...some(places.map(tellPlace), "placements"),
    ...some(
      gone.map((claim) => `${claim} has no claim any more, and leaves its node`),
      "without a claim"
    ),
    ...some(
      Array.from(why, ([claim, reason]) => `${claim} ${reason}`),
      "claims"
    )
  ].join("; ")

/** Claim → what was decided on it, as a sentence; nothing of those that stay as they are. */
export const describeEach = ({ places, why }: Decision): ReadonlyMap<string, string> => {
  const told = new Map(places.map((place) => [place.claim, tellPlace(place)]))
  for (const [claim, reason] of why) {
    const placed = told.get(claim)
    const sentence = `${claim} ${reason}`
    told.set(claim, placed === undefined ? sentence : `${placed}; ${sentence}`)
  }
  return told
}

/** Something is to be decided later, though nothing will happen until then that says so. */
export class TooEarly extends Schema.TaggedError<TooEarly>()("TooEarly", {
  told: Schema.String,
  millis: Schema.Finite
}) {
  get disposition(): Disposition {
    return RetryAfter(this.millis)
  }
  override get message() {
    return this.told
  }
}
