import { describe, expect, it } from "@effect/vitest"
import { faults, planOf, randomOf } from "./support/scenarios/random/plan.ts"
import { judge, noDoubles } from "./support/scenarios/random/rule.ts"

const options = {
  seed: 7,
  count: 200,
  nodes: ["n1", "n2", "n3", "n4"],
  addresses: ["10.77.1.0", "10.77.1.1"],
  longestMillis: 8_000
}

describe("a plan of random faults", () => {
  it("is the same for the same seed, and another one for another", () => {
    expect(planOf(options)).toEqual(planOf(options))
    expect(planOf({ ...options, seed: 8 })).not.toEqual(planOf(options))
    expect(randomOf(1)()).toBe(randomOf(1)())
  })

  it("has each kind of fault, and as many as were asked for, each of which ends", () => {
    const plan = planOf(options)
    const [starts, ends] = [
      plan.filter(({ what }) => what === "starts"),
      plan.filter(({ what }) => what === "ends")
    ]
    expect([starts.length, ends.length]).toEqual([200, 200])
    expect(new Set(starts.map(({ fault }) => fault.name))).toEqual(new Set(Object.keys(faults)))
  })

  it("breaks nothing that is broken already, and mends nothing that is not", () => {
    const broken = new Set<string>()
    for (const { fault, what } of planOf(options)) {
      const place = faults[fault.name]
      const key = place === "split" ? place : [place, ...fault.of].join(" ")
      expect(broken.has(key)).toBe(what === "ends")
      if (what === "starts") broken.add(key)
      else broken.delete(key)
    }
  })
})

describe("the rule of what may be seen while things are broken", () => {
  const look = (at: number, ...hosts: ReadonlyArray<string>) =>
    ({ at, side: "a", answers: new Map([["10.77.1.0", hosts]]) }) as const

  it("lets one host answer, or none, for as long as it likes", () => {
    const first = judge(noDoubles, look(0, "n1"), 100)
    expect(judge(first.doubles, look(10_000), 100)).toEqual({ doubles: noDoubles, complaints: [] })
  })

  it("lets two answer for a while, and no longer", () => {
    const first = judge(noDoubles, look(0, "n1", "n2"), 100)
    expect(first.complaints).toEqual([])
    const second = judge(first.doubles, look(100, "n1", "n2"), 100)
    expect(second.complaints).toEqual([])
    expect(judge(second.doubles, look(101, "n1", "n2"), 100).complaints).toEqual([
      "10.77.1.0 on side a: answered by n1 and n2 for 101 ms"
    ])
  })

  it("counts anew when one had gone in between, and each side by itself", () => {
    const first = judge(noDoubles, look(0, "n1", "n2"), 100)
    const second = judge(first.doubles, look(50, "n1"), 100)
    const other = judge(second.doubles, { ...look(200, "n1", "n2"), side: "b" }, 100)
    expect(judge(other.doubles, look(200, "n1", "n2"), 100).complaints).toEqual([])
  })
})
