import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { HeldByForeign, HeldByOurs, HeldByUnknown } from "../Wire.ts"
import { Binder } from "./binder.ts"
import { Holder } from "./holder.ts"
import type { Heard } from "./kernel/frames.ts"
import { Peers } from "./peers.ts"
import { address, aroundOf, by, foreign, heard, lanThat } from "./surroundings.fixture.ts"
import { defaultTimes } from "./times.ts"

describe("an address that a machine answers for which nobody knows", () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }))
  afterEach(() => void vi.useRealTimers())

  const claim = "10-0-0-1"
  const assignment = { role: "holder" as const, claim, address, term: 3, holder: "me" }

  /** What comes of binding it, each time that it is tried. */
  const binding = (answers: () => ReadonlyArray<Heard>) => {
    const conflicts: Array<string | undefined> = []
    const peers = new Peers()
    peers.begin()
    const isDecoy = (one: string) => one !== address
    const lan = lanThat((all) => new Map(all.filter((one) => !isDecoy(one)).map((one) => [one, answers()])))
    const around = {
      ...aroundOf(lan, peers),
      assignmentOf: () => assignment,
      report: ({ foreign: mac }: { readonly foreign?: string }) => void conflicts.push(mac)
    }
    const binder = new Binder(around, new Holder(around))
    const failure = () => binder.bind(assignment).catch((cause: unknown) => cause)
    return { failure, conflicts }
  }

  it("may be one of a node that has yet to be heard of, and is its conflict when everybody was", async () => {
    const { failure, conflicts } = binding(() => [heard("has", foreign)])
    expect(await failure()).toBeInstanceOf(HeldByUnknown)
    vi.advanceTimersByTime(defaultTimes.heardOfMillis - 1)
    expect(await failure()).toBeInstanceOf(HeldByUnknown)
    vi.advanceTimersByTime(1)
    expect(await failure()).toBeInstanceOf(HeldByForeign)
    expect(conflicts).toEqual([foreign])
  })

  it("may be one of a node that is too busy to sign at once, however long NATS has been there", async () => {
    const answers = [heard("has", foreign)]
    const { failure, conflicts } = binding(() => answers)
    vi.advanceTimersByTime(defaultTimes.heardOfMillis)
    expect(await failure()).toBeInstanceOf(HeldByUnknown)
    vi.advanceTimersByTime(defaultTimes.unsignedMillis - 1)
    answers.push(heard("has", foreign, by(3, true)))
    expect(await failure()).toBeInstanceOf(HeldByOurs)
    // What it said by its signature is not forgotten for a question that it did not sign.
    answers.pop()
    vi.advanceTimersByTime(1)
    expect(await failure()).toBeInstanceOf(HeldByUnknown)
    expect(conflicts).toEqual([])
  })
})
