import { describe, expect, it } from "@effect/vitest"
import { type Claimant, stays } from "./rank.ts"

const one: Claimant = { term: 3, taken: false, mac: "02:00:00:00:00:01" }
const other: Claimant = { term: 3, taken: false, mac: "02:00:00:00:00:02" }

describe("of two nodes that hold one address", () => {
  it.each<[string, Partial<Claimant>, Partial<Claimant>, boolean]>([
    ["the one with the newer placement stays", { term: 4 }, {}, true],
    [
      "the one with the older placement yields, even to one that took it",
      {},
      { term: 4, taken: true },
      false
    ],
    ["who was assigned stays against who took", {}, { taken: true }, true],
    ["who took yields to who was assigned", { taken: true }, {}, false],
    ["of two assigned the lower MAC stays", {}, {}, true],
    ["of two that took the lower MAC stays", { taken: true }, { taken: true }, true]
  ])("%s", (_, mine, theirs, result) => {
    expect(stays({ ...one, ...mine }, { ...other, ...theirs })).toBe(result)
  })

  it("exactly one stays, whoever they are", () => {
    const all = [1, 2].flatMap((term) =>
      [true, false].flatMap((taken) =>
        ["02:00:00:00:00:01", "02:00:00:00:00:02"].map((mac) => ({ term, taken, mac }))
      )
    )
    for (const a of all) for (const b of all) if (a.mac !== b.mac) expect(stays(a, b)).toBe(!stays(b, a))
  })
})
