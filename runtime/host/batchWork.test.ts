import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { type BatchResult, BatchWork } from "./batchWork.ts"

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const settled: BatchResult = { _tag: "Settled" }

const open = (most = 1_000) => {
  const runs: Array<{
    readonly keys: ReadonlyArray<string>
    readonly attempt: number
    readonly end: (result: BatchResult) => Promise<void>
  }> = []
  const done: Array<string> = []
  const work = new BatchWork<string>({
    afterMillis: 5,
    most,
    run: (entries, { attempt }) =>
      new Promise((resolve) =>
        runs.push({
          keys: entries.map(({ key }) => key),
          attempt,
          end: async (result) => {
            resolve(result)
            await vi.advanceTimersByTimeAsync(0)
          }
        })
      )
  })
  const wake = (...keys: ReadonlyArray<string>) => {
    for (const key of keys) {
      work.wake(key, key, { sequence: 0, outstanding: 1, settle: () => void done.push(key) })
    }
  }
  const pass = (millis: number) => vi.advanceTimersByTimeAsync(millis)
  const keys = () => runs.map((run) => run.keys.join(""))
  return { work, runs, done, wake, pass, keys }
}

describe("the work of a batch function", () => {
  it("gathers for 5 ms what is woken, each object once, and settles all of it", async () => {
    const { runs, done, wake, pass, work } = open()
    wake("a", "b")
    await pass(4)
    wake("a", "c")
    expect(runs).toEqual([])
    await pass(1)
    expect(runs.map(({ keys }) => keys)).toEqual([["a", "b", "c"]])
    await runs[0]!.end(settled)
    expect(done).toEqual(["a", "a", "b", "c"])
    expect(work.size).toBe(0)
  })

  it("waits as long as a timer can where it is to wait longer, and does not run at once", async () => {
    const { runs, wake, pass } = open()
    wake("a")
    await pass(5)
    await runs[0]!.end({ _tag: "Again", afterMillis: 60 * 86_400_000 })
    await pass(24 * 86_400_000)
    expect(runs).toHaveLength(1)
    await pass(86_400_000)
    expect(runs).toHaveLength(2)
  })

  it("runs one batch at a time, and no more than fit", async () => {
    const { runs, keys, wake, pass } = open(2)
    wake("a", "b", "c")
    await pass(5)
    wake("a", "d")
    await pass(100)
    expect(keys()).toEqual(["ab"])
    await runs[0]!.end(settled)
    await pass(5)
    expect(keys()).toEqual(["ab", "cd"])
    await runs[1]!.end(settled)
    await pass(5)
    expect(keys()).toEqual(["ab", "cd", "a"])
  })

  it("keeps all of a batch that failed, and lets others go on meanwhile", async () => {
    const { runs, keys, done, wake, pass, work } = open()
    wake("a", "b")
    await pass(5)
    await runs[0]!.end({ _tag: "Again", afterMillis: 100 })
    expect([work.retrying, done]).toEqual([2, []])
    wake("c")
    await pass(5)
    await runs[1]!.end(settled)
    await pass(100)
    expect(keys()).toEqual(["ab", "c", "ab"])
    expect(runs.map(({ attempt }) => attempt)).toEqual([1, 1, 2])
    await runs[2]!.end(settled)
    expect(done).toEqual(["c", "a", "b"])
  })

  it("does not let one wait that is woken anew", async () => {
    const { runs, keys, wake, pass } = open()
    wake("a", "b")
    await pass(5)
    await runs[0]!.end({ _tag: "Again", afterMillis: 100 })
    wake("a")
    await pass(5)
    expect(keys()).toEqual(["ab", "a"])
    await runs[1]!.end(settled)
    await pass(200)
    expect(keys()).toEqual(["ab", "a", "b"])
  })

  it("tries ever fewer at once after faults, so that one object does not keep others out", async () => {
    const { runs, done, wake, pass } = open(4)
    wake("a", "b", "x", "c")
    for (let i = 0; i < 40; i++) {
      await pass(15)
      const run = runs[i]
      if (run === undefined) break
      await run.end(run.keys.includes("x") ? { _tag: "Again", afterMillis: 10, isFault: true } : settled)
    }
    expect(done.toSorted()).toEqual(["a", "b", "c"])
    expect(runs.at(-1)?.keys).toEqual(["x"])
  })

  it("hands back what is not done when it is stopped", async () => {
    const { work, runs, wake, pass } = open(1)
    wake("a", "b")
    await pass(5)
    const stopped = work.stop()
    await runs[0]!.end({ _tag: "Again", afterMillis: 100 })
    expect((await stopped).length).toBe(2)
    await pass(1_000)
    expect(runs).toHaveLength(1)
  })
})
