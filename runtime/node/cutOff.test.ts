import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { CutOff } from "./cutOff.ts"
import { newHeld } from "./held.ts"
import { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { Peers } from "./peers.ts"
import { address, aroundOf, lanThat, linkOf, other } from "./surroundings.fixture.ts"

describe("what this node holds, and another one stands by for", () => {
  let heardAt: number
  let answers: boolean
  let verified: number
  let cutOff: CutOff

  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ["performance", "setInterval", "clearInterval", "setTimeout", "clearTimeout"]
    })
    heardAt = performance.now()
    answers = true
    verified = 0
    const lan = {
      ...lanThat(() => {
        verified++
        return new Map()
      }),
      heardAt: () => heardAt,
      askMachine: () => {
        if (answers) heardAt = performance.now()
      }
    } as unknown as Lan
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    const claim = "10-0-0-1"
    const assignment = { role: "holder" as const, claim, address, term: 3, holder: "me", standby: "other" }
    const around = { ...aroundOf(lan, peers), assignmentOf: () => assignment }
    const holder = new Holder(around)
    holder.table.add(newHeld({ claim, address, index: 1, term: 3, taken: false }, 0))
    cutOff = new CutOff(around, holder)
  })
  afterEach(() => {
    cutOff.close()
    vi.useRealTimers()
  })

  it("is not asked for while that one's runtime is down, and its host answers", async () => {
    await vi.advanceTimersByTimeAsync(60_000)
    expect(verified).toBe(0)
  })

  it("is asked for once when the two hear each other again", async () => {
    answers = false
    await vi.advanceTimersByTimeAsync(2_000)
    expect(verified).toBe(0)
    answers = true
    await vi.advanceTimersByTimeAsync(60_000)
    expect(verified).toBe(1)
  })
})
