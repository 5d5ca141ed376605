import { afterEach, describe, expect, it, vi } from "vitest"
import { CutOff } from "./cutOff.ts"
import { newHeld } from "./held.ts"
import { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { Peers } from "./peers.ts"
import { address, aroundOf, lanThat, linkOf, other } from "./surroundings.fixture.ts"

afterEach(() => void vi.useRealTimers())

describe("a node that is cut off on one link of two", () => {
  it("is asked for when the two hear each other again on that link", async () => {
    vi.useFakeTimers({
      toFake: ["performance", "setInterval", "clearInterval", "setTimeout", "clearTimeout"]
    })
    let answers2 = true
    const heardAt = new Map<number, number>()
    const verified: Array<number> = []
    const lanOf = (index: number) =>
      ({
        ...lanThat(() => {
          verified.push(index)
          return new Map()
        }),
        index,
        heardAt: () => heardAt.get(index) ?? Number.NEGATIVE_INFINITY,
        askMachine: () => {
          if (index === 1 || answers2) heardAt.set(index, performance.now())
        }
      }) as unknown as Lan
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    const around = {
      ...aroundOf(lanOf(1), peers),
      lan: lanOf,
      assignmentOf: (claim: string) => ({
        role: "holder" as const,
        claim,
        address,
        term: 3,
        holder: "me",
        standby: "other"
      })
    }
    const holder = new Holder(around)
    holder.table.add(newHeld({ claim: "10-0-0-1", address, index: 1, term: 3, taken: false }, 0))
    holder.table.add(newHeld({ claim: "10-1-0-1", address: "10.1.0.1", index: 2, term: 3, taken: false }, 0))
    const cutOff = new CutOff(around, holder)
    await vi.advanceTimersByTimeAsync(5_000)
    answers2 = false
    await vi.advanceTimersByTimeAsync(5_000)
    verified.length = 0
    answers2 = true
    await vi.advanceTimersByTimeAsync(20_000)
    cutOff.close()
    expect(verified).toEqual([2])
  })
})
