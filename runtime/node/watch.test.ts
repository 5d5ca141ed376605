import { describe, expect, it } from "@effect/vitest"
import { defaultTimes } from "./times.ts"
import { judge, notSilent, type Round, type Verdict } from "./watch.ts"

const answers: Round = { node: true, claim: true, late: false }
const silent: Round = { node: false, claim: false, late: false }
const hostLives: Round = { node: true, claim: false, late: false }
const late: Round = { node: false, claim: false, late: true }

const verdicts = (rounds: ReadonlyArray<Round>): ReadonlyArray<Verdict> => {
  let silence = notSilent
  return rounds.map((round) => {
    const judged = judge(silence, round, defaultTimes)
    silence = judged.silence
    return judged.verdict
  })
}

describe("a holder", () => {
  it.each<[string, ReadonlyArray<Round>, ReadonlyArray<Verdict>]>([
    ["that answers is fine", [answers, answers], ["fine", "fine"]],
    [
      "that is silent four times in a row is lost",
      [silent, silent, silent, silent],
      ["doubtful", "doubtful", "doubtful", "lost"]
    ],
    [
      "that answers in between is counted anew",
      [silent, silent, silent, answers, silent],
      ["doubtful", "doubtful", "doubtful", "fine", "doubtful"]
    ],
    [
      "whose address is silent while it answers itself is given two more: it may be on its way",
      [hostLives, hostLives, hostLives, hostLives, hostLives, hostLives],
      ["doubtful", "doubtful", "doubtful", "doubtful", "doubtful", "lost"]
    ],
    [
      "that is silent itself, but whose address answers, is fine: its host may have a firewall",
      [{ node: false, claim: true, late: false }],
      ["fine"]
    ],
    [
      "is not lost by a round that we looked at too late, and is counted anew after it",
      [silent, silent, silent, late, silent],
      ["doubtful", "doubtful", "doubtful", "fine", "doubtful"]
    ],
    [
      "none of whose addresses has been seen yet is judged by its own",
      [
        { node: false, claim: undefined, late: false },
        { node: true, claim: undefined, late: false }
      ],
      ["doubtful", "fine"]
    ],
    [
      "that cannot be asked at all is not judged",
      [{ node: undefined, claim: undefined, late: false }],
      ["fine"]
    ],
    [
      "without an address of its own is judged by what it holds",
      Array.from({ length: 4 }, () => ({ node: undefined, claim: false, late: false })),
      ["doubtful", "doubtful", "doubtful", "lost"]
    ]
  ])("%s", (_, rounds, want) => expect(verdicts(rounds)).toEqual(want))
})
