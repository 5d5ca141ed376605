import { describe, expect, it } from "@effect/vitest"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Assignment, claimKeyOf, highestTerm, isSound, soundLinks } from "./messages.ts"
import { FleetState } from "./state.ts"

describe("what a node believes of what is on NATS", () => {
  it.each([
    ["10-0-0-1", "10.0.0.1", true],
    ["fd00-0000-0000-0000-0000-0000-0000-0001", "fd00::1", true],
    ["10-0-0-2", "10.0.0.1", false],
    ["10-0-0-1", "10.0.0.1/24", false],
    ["x", "x", false],
    ["", "", false]
  ])("claim %s with address %s: %s", (claim, address, sound) => {
    expect(isSound({ claim, address })).toBe(sound)
  })

  it("names a claim by its address", () => {
    expect(claimKeyOf("192.168.0.249")).toBe("192-168-0-249")
  })

  it("is no term that does not fit into a frame", () => {
    const of = (term: number) => ({ role: "holder", claim: "10-0-0-1", address: "10.0.0.1", term })
    const decode = Schema.decodeUnknownResult(Assignment)
    expect(
      [1, highestTerm, highestTerm + 1, -1, 1.5].map((term) => Result.isSuccess(decode(of(term))))
    ).toEqual([true, true, false, false, false])
  })

  it("is of a node's links those with a MAC, and of their subnets those that are some", () => {
    const link = { name: "eth0", carrier: true, defaultRoutes: [], chosen: false }
    const good = { ...link, mac: "02:00:00:00:00:01", subnets: ["10.0.0.1/24", "x", "10.0.0.1/99"] }
    expect(soundLinks([good, { ...link, mac: "x", subnets: [] }])).toEqual([
      { ...good, subnets: ["10.0.0.1/24"] }
    ])
  })
})

it("a term never rises beyond what a frame holds", () => {
  const state = new FleetState()
  state.reported({
    node: "n1",
    claim: "10-0-0-1",
    what: "bound",
    address: "10.0.0.1",
    link: "eth0",
    mac: "02:00:00:00:00:01",
    term: highestTerm,
    at: 0
  })
  expect(state.nextTerm("10-0-0-1")).toBe(highestTerm)
})
