import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { type Cause, type RunResult, Work } from "./work.ts"

const again = (afterMillis: number): RunResult => ({ _tag: "Again", afterMillis })
const settled: RunResult = { _tag: "Settled" }

/** Work whose runs end when the test says so. */
const bench = (options: { readonly concurrency?: number; readonly debounceMillis?: number } = {}) => {
  const started: Array<{ readonly key: string; readonly attempt: number; readonly causes: number }> = []
  const running = new Map<string, (result: RunResult) => void>()
  const settledCauses: Array<number> = []
  const work = new Work<string>({
    concurrency: options.concurrency ?? 2,
    debounceMillis: options.debounceMillis ?? 0,
    run: (key, _target, causes, { attempt }) => {
      started.push({ key, attempt, causes: causes.length })
      return new Promise((resolve) => running.set(key, resolve))
    }
  })
  const cause = (sequence: number, outstanding = 1): Cause => ({
    sequence,
    outstanding,
    settle: () => settledCauses.push(sequence)
  })
  return {
    work,
    started,
    settledCauses,
    cause,
    wake: (key: string, sequence = 0) => work.wake(key, key, cause(sequence)),
    end: async (key: string, result: RunResult = settled) => {
      running.get(key)!(result)
      running.delete(key)
      await vi.advanceTimersByTimeAsync(0)
    }
  }
}

describe("the work of one function", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  it("runs objects in the order in which they were woken, so many at a time", async () => {
    const { wake, end, work, started } = bench({ concurrency: 2 })
    for (const key of ["a", "b", "c", "d"]) wake(key)
    expect(started.map(({ key }) => key)).toEqual(["a", "b"])
    expect(work.running).toBe(2)
    await end("b")
    await end("c")
    expect(started.map(({ key }) => key)).toEqual(["a", "b", "c", "d"])
  })

  it("waits as long as a timer can where it is to wait longer, and does not run at once", async () => {
    const { wake, end, started } = bench()
    wake("a")
    await end("a", again(60 * 86_400_000))
    await vi.advanceTimersByTimeAsync(24 * 86_400_000)
    expect(started).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(86_400_000)
    expect(started).toHaveLength(2)
  })

  it("runs one object once at a time; what comes meanwhile is one run after it", async () => {
    const { wake, end, started, settledCauses } = bench()
    wake("a", 1)
    wake("a", 2)
    wake("a", 3)
    expect(started).toHaveLength(1)
    // The run that is to come answers both: the later one stands for it.
    expect(settledCauses).toEqual([2])
    await end("a")
    expect(settledCauses).toEqual([2, 1])
    expect(started).toEqual([
      { key: "a", attempt: 1, causes: 1 },
      { key: "a", attempt: 1, causes: 1 }
    ])
    await end("a")
    expect(settledCauses).toEqual([2, 1, 3])
  })

  it("settles a cause once all objects that it woke are done", async () => {
    const { work, cause, end, settledCauses } = bench()
    const both = cause(7, 2)
    work.wake("a", "a", both)
    work.wake("b", "b", both)
    await end("a")
    expect(settledCauses).toEqual([])
    await end("b")
    expect(settledCauses).toEqual([7])
    expect(work.size).toBe(0)
  })

  it("does not hold up others with an object that waits for another attempt", async () => {
    const { wake, end, started, work } = bench({ concurrency: 1 })
    wake("a")
    wake("b")
    await end("a", again(60_000))
    expect(work.retrying).toBe(1)
    await end("b")
    wake("c")
    expect(started.map(({ key }) => key)).toEqual(["a", "b", "c"])
    await end("c")
    await vi.advanceTimersByTimeAsync(59_999)
    expect(started).toHaveLength(3)
    await vi.advanceTimersByTimeAsync(1)
    expect(started.at(-1)).toEqual({ key: "a", attempt: 2, causes: 1 })
  })

  it("counts attempts until one succeeds", async () => {
    const { wake, end, started } = bench()
    wake("a")
    await end("a", again(10))
    await vi.advanceTimersByTimeAsync(10)
    await end("a", again(10))
    await vi.advanceTimersByTimeAsync(10)
    await end("a")
    wake("a")
    expect(started.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 1])
  })

  it("runs an object that waits for another attempt at once when a new event comes", async () => {
    const { wake, end, started, settledCauses } = bench()
    wake("a", 1)
    await end("a", again(60_000))
    wake("a", 2)
    expect(started.at(-1)).toEqual({ key: "a", attempt: 2, causes: 1 })
    expect(settledCauses).toEqual([1])
    await end("a")
    expect(settledCauses).toEqual([1, 2])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(started).toHaveLength(2)
  })

  it("keeps one event of an object that changes and fails for ever, and what is acknowledged by no other", async () => {
    const { work, wake, cause, end, settledCauses } = bench()
    const all = cause(0)
    const free = Array.from({ length: 3 }, () => ({ ...cause(0), isFree: true }))
    work.wake("a", "a", all)
    for (let event = 1; event <= 1_000; event++) {
      wake("a", event)
      await end("a", again(60_000))
    }
    expect(settledCauses).toEqual([0, ...Array.from({ length: 999 }, (_, i) => i + 1)])
    for (const one of free) work.wake("a", "a", one)
    await end("a", again(60_000))
    work.wake("a", "a", cause(0))
    expect(settledCauses.at(-1)).toBe(999)
    for (const _ of [1, 2]) await end("a", again(60_000))
    // The last event, the last of what nobody waits for, and what came after it.
    expect((await work.stop()).map(({ sequence, isFree }) => [sequence, isFree])).toEqual([
      [1_000, undefined],
      [0, true],
      [0, undefined]
    ])
  })

  it("runs an object at once whose event came while an attempt failed", async () => {
    const { wake, end, started } = bench()
    wake("a")
    wake("a")
    await end("a", again(60_000))
    expect(started.at(-1)).toEqual({ key: "a", attempt: 2, causes: 2 })
  })

  it("runs an object at most once in its debounce time, and what came meanwhile at its end", async () => {
    const { wake, end, started, settledCauses } = bench({ debounceMillis: 1_000 })
    wake("a", 1)
    await end("a")
    wake("a", 2)
    await vi.advanceTimersByTimeAsync(400)
    wake("a", 3)
    wake("b", 4)
    expect(started.map(({ key }) => key)).toEqual(["a", "b"])
    await vi.advanceTimersByTimeAsync(600)
    expect(started.at(-1)).toEqual({ key: "a", attempt: 1, causes: 1 })
    await end("a")
    expect(settledCauses).toEqual([1, 2, 3])
  })

  it("forgets an object when its debounce time passes and nothing came", async () => {
    const { wake, end, work } = bench({ debounceMillis: 1_000 })
    wake("a")
    await end("a")
    expect(work.size).toBe(1)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(work.size).toBe(0)
  })

  it("hands back on stop what it has not done, when what is running has ended, and starts nothing more", async () => {
    const { wake, end, started, work, settledCauses } = bench({ concurrency: 2 })
    wake("done", 1)
    wake("fails", 2)
    wake("queued", 3)
    await end("done", again(60_000))
    let handed: ReadonlyArray<Cause> | undefined
    const stopped = work.stop().then((left) => {
      handed = left
    })
    wake("late", 4)
    await vi.advanceTimersByTimeAsync(0)
    expect(handed).toBeUndefined()
    await end("queued")
    await end("fails", again(5))
    await stopped
    expect(handed?.map(({ sequence }) => sequence).toSorted()).toEqual([1, 2])
    expect(settledCauses).toEqual([3])
    await vi.advanceTimersByTimeAsync(60_000)
    expect(started.map(({ key }) => key)).toEqual(["done", "fails", "queued"])
    expect(work.size).toBe(0)
  })

  it("stops at once when nothing runs", async () => {
    const { work } = bench()
    expect(await work.stop()).toEqual([])
  })

  it("loses no event by a run that breaks: it is tried again", async () => {
    let runs = 0
    const settle = vi.fn()
    const work = new Work<string>({
      concurrency: 1,
      debounceMillis: 0,
      run: () => (++runs === 1 ? Promise.reject(new Error("broken")) : Promise.resolve(settled))
    })
    work.wake("a", "a", { sequence: 1, outstanding: 1, settle })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(runs).toBe(2)
    expect(settle).toHaveBeenCalledOnce()
  })

  it("goes through many objects in their order", async () => {
    const seen: Array<string> = []
    const work = new Work<string>({
      concurrency: 1,
      debounceMillis: 0,
      run: (key) => {
        seen.push(key)
        return Promise.resolve(settled)
      }
    })
    const keys = Array.from({ length: 5_000 }, (_, index) => `k${index}`)
    for (const key of keys) work.wake(key, key, { sequence: 0, outstanding: 1, settle: () => undefined })
    await vi.advanceTimersByTimeAsync(0)
    while (work.size > 0) await Promise.resolve()
    expect(seen).toEqual(keys)
  })
})
