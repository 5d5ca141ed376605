import { describe, expect, it } from "@effect/vitest"
import { withJudgement } from "./conditions.ts"

const then = "2026-01-01T00:00:00Z"
const now = "2026-01-02T00:00:00Z"
const valid = { type: "Valid", status: "True", reason: "Usable", message: "4 addresses" } as const
const before = [{ ...valid, lastTransitionTime: then }]

describe("a condition", () => {
  it("is added beside the others", () => {
    const exhausted = { ...valid, type: "Exhausted" }
    expect(withJudgement(before, exhausted, now)).toEqual([
      ...before,
      { ...exhausted, lastTransitionTime: now }
    ])
  })

  it("is the same list when it says nothing new", () => {
    expect(withJudgement(before, valid, now)).toBe(before)
  })

  it("keeps its time while its status does not change", () => {
    const other = { ...valid, message: "5 addresses" }
    expect(withJudgement(before, other, now)).toEqual([{ ...other, lastTransitionTime: then }])
  })

  it("is of now when its status changes", () => {
    const invalid = { ...valid, status: "False", reason: "InvalidCidr" } as const
    expect(withJudgement(before, invalid, now)).toEqual([{ ...invalid, lastTransitionTime: now }])
  })
})
