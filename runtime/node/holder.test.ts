import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { newHeld } from "./held.ts"
import { Holder } from "./holder.ts"
import type { Heard, Signature } from "./kernel/frames.ts"
import { Peers } from "./peers.ts"
import { Proxies } from "./proxies.ts"
import { address, aroundOf, by, foreign, heard, lanThat, linkOf, other } from "./surroundings.fixture.ts"
import { defaultTimes } from "./times.ts"

/** What becomes of an address that this node holds, by what it hears when it asks for it; NATS is away. */
const verified = (signature: Signature, ...answers: ReadonlyArray<Heard>) =>
  verifiedInTurn(signature, answers)

/** The same, by what it hears the first time that it asks, the second time, and so on. */
const verifiedInTurn = (signature: Signature, ...rounds: ReadonlyArray<ReadonlyArray<Heard>>) =>
  verifiedAfter(0, signature, ...rounds)

/** The same so many milliseconds after it was renewed last. */
const verifiedAfter = async (
  millis: number,
  signature: Signature,
  ...rounds: ReadonlyArray<ReadonlyArray<Heard>>
): Promise<"kept" | "given up"> => {
  const peers = new Peers()
  peers.set("other", [linkOf(other)])
  const left = [...rounds]
  const lan = lanThat(() => new Map([[address, left.shift() ?? rounds.at(-1)!]]))
  const holder = new Holder(aroundOf(lan, peers))
  const held = newHeld({ claim: "10-0-0-1", address, index: 1, ...signature }, performance.now() - millis)
  holder.table.add(held)
  await holder.verify([held])
  return holder.table.has(held) ? "kept" : "given up"
}

describe("an address that two nodes hold, NATS being away", () => {
  it("is given up to one that says nothing of why it has it", async () => {
    expect(await verified(by(3, false), heard("has", other))).toBe("given up")
  })

  it("is kept by whom it was assigned to, when the one that took it is too busy to say so at once", async () => {
    const [unsigned, signed] = [heard("has", other), heard("has", other, by(3, true))]
    expect(await verifiedInTurn(by(3, false), [unsigned], [unsigned], [unsigned, signed])).toBe("kept")
  })

  it("is kept by one of two that ask at the same moment: their questions say what they hold it by", async () => {
    const [assigned, taker] = [by(3, false), by(3, true)]
    expect(await verified(assigned, heard("has", other), heard("asks", other, taker))).toBe("kept")
    expect(await verified(taker, heard("has", other), heard("asks", other, assigned))).toBe("given up")
  })

  it("is kept, and no conflict, when one that nobody knew has let go of it at our question", async () => {
    const farewell: Signature = { term: 2, taken: false, released: true }
    expect(await verified(by(3, false), heard("has", foreign), heard("asks", foreign, farewell))).toBe("kept")
    expect(await verified(by(3, false), heard("has", foreign))).toBe("given up")
  })

  it("is kept when another one only asks for it", async () => {
    expect(await verified(by(3, false), heard("asks", other, by(3, true)))).toBe("kept")
  })
})

describe("an address that the kernel has dropped while the runtime stood still", () => {
  const isThen = (...answers: ReadonlyArray<Heard>) =>
    verifiedAfter(defaultTimes.lifetimeMillis, by(3, false), answers)

  it("is given up to one that took it, though no assignment says so yet, and kept otherwise", async () => {
    const taken = [heard("has", other), heard("has", other, by(3, true))]
    expect(await verified(by(3, false), ...taken)).toBe("kept")
    expect(await isThen(...taken)).toBe("given up")
    expect(await isThen()).toBe("kept")
  })

  it("is kept when only one whose assignment is older has it", async () => {
    expect(await isThen(heard("has", other, by(2, false)))).toBe("kept")
  })
})

describe("an address for which somebody unknown speaks without a signature", () => {
  /** What becomes of it, by what he says when he is asked for the first time, for the second, and so on. */
  const disputed = async (...answers: ReadonlyArray<ReadonlyArray<Heard>>) => {
    const [told, rounds] = [[] as string[], [...answers]]
    const lan = lanThat(
      (all) => {
        // Addresses that nobody has: he answers for them only if he is a proxy.
        if (!all.includes(address)) return new Map()
        return new Map([[address, rounds.shift() ?? answers.at(-1)!]])
      },
      () => told.push("defended")
    )
    const holder = new Holder({ ...aroundOf(lan), report: ({ what }) => void told.push(what) })
    const held = newHeld({ claim: "10-0-0-1", address, index: 1, term: 3, taken: false }, 0)
    holder.table.add(held)
    holder.hear(heard("has", foreign), lan)
    await vi.waitUntil(() => told.length > 0)
    return told
  }

  it("is a foreign machine's if he never signs", async () => {
    expect(await disputed([heard("has", foreign)])).toEqual(["conflict"])
  })

  it("is kept if he is a node that is too busy to sign at once", async () => {
    const signed = heard("has", foreign, by(2, false))
    const unsigned = heard("has", foreign)
    expect(await disputed([unsigned], [unsigned], [unsigned, signed])).toEqual(["defended"])
  })
})

describe("an address that was taken off by others", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }))
  afterEach(() => void vi.useRealTimers())

  it("is put back and announced as often as a new one: a link that was flapping did not hear the first", async () => {
    let announced = 0
    const holder = new Holder(
      aroundOf(
        lanThat(
          () => new Map(),
          () => announced++
        )
      )
    )
    const held = newHeld({ claim: "10-0-0-1", address, index: 1, term: 1, taken: false }, performance.now())
    await holder.put([held])
    const within = (millis: number) => {
      const before = announced
      for (let passed = 0; passed < millis; passed += 100) {
        vi.advanceTimersByTime(100)
        holder.announceDue()
      }
      return announced - before
    }
    const asNew = within(3_000)
    expect(asNew).toBe(defaultTimes.announceAgainMillis.length)
    expect(within(3_000)).toBe(0)
    held.renewedAt = performance.now()
    holder.removed([held])
    await vi.waitUntil(() => announced === 1 + asNew + 1)
    expect(within(3_000)).toBe(asNew)
  })
})

describe("an ARP proxy", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }))
  afterEach(() => void vi.useRealTimers())

  it("is found out a second after it was none, and is one for a minute", async () => {
    let isProxy = false
    const lan = lanThat(
      (addresses) => new Map(isProxy ? addresses.map((one) => [one, [heard("has", foreign)]]) : [])
    )
    const proxies = new Proxies(() => undefined)
    const real = async () => [...(await proxies.without(lan, new Set([foreign]), address))]
    expect(await real()).toEqual([foreign])
    isProxy = true
    expect(await real()).toEqual([foreign])
    vi.advanceTimersByTime(1_001)
    expect(await real()).toEqual([])
    isProxy = false
    vi.advanceTimersByTime(59_000)
    expect(await real()).toEqual([])
    vi.advanceTimersByTime(1_001)
    expect(await real()).toEqual([foreign])
  })
})
