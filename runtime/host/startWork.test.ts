import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { afterEach, expect, it, vi } from "vitest"
import { defineBatchFunction } from "../Function.ts"
import type { Keyed } from "../Trigger.ts"
import { hostMetrics } from "./metrics.ts"
import type { OutcomeNews } from "./outcomes.ts"
import { bench, needs, object } from "./run.fixture.ts"
import { startWork } from "./startWork.ts"
import { raw, Thing } from "./thing.fixture.ts"

afterEach(() => void vi.useRealTimers())

it("parks of a batch only what fails alone, however many fail with it at first", async () => {
  const { services, view } = await bench()
  vi.useFakeTimers()
  const names = ["b", "c", "bad", "d", "e"]
  for (const name of names) view.applyWrite(Thing, raw(name, 1, "red"))
  const batches: Array<ReadonlyArray<string>> = []
  const fn = defineBatchFunction({
    name: "count-on-change",
    on: [Thing.touched],
    needs,
    handle: (things: ReadonlyArray<Keyed<Thing>>) => {
      batches.push(things.map(({ ref }) => ref.name))
      if (batches.at(-1)!.includes("bad")) throw new Error("a fault of the function's own")
      return Effect.void
    }
  })
  const parked: Array<string> = []
  const news: Array<OutcomeNews> = []
  const work = startWork({
    fn,
    js: { publish: async (subject: string) => parked.push(subject) } as never,
    metrics: hostMetrics(Context.empty() as Context.Context<never>),
    say: (one) => news.push(one),
    services,
    concurrency: 1
  })
  const settled: Array<string> = []
  for (const name of names) {
    const cause = { sequence: 0, outstanding: 1, settle: () => void settled.push(name) }
    work.wake(name, object(name, "key"), cause)
  }
  await vi.advanceTimersByTimeAsync(10 * 60_000)
  expect(batches[0]).toEqual(names)
  expect(batches.filter((batch) => batch.includes("bad")).at(-1)).toEqual(["bad"])
  expect(parked).toEqual(["parked.count-on-change.test_example.things.default.bad"])
  expect(news.filter(({ _tag }) => _tag === "Parked")).toHaveLength(1)
  expect(settled.toSorted()).toEqual(names.toSorted())
  expect(work.size).toBe(0)
})
