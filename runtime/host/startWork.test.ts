import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { afterEach, describe, expect, it, vi } from "vitest"
import { Reject, Retry, RetryAfter } from "../Disposition.ts"
import { defineBatchFunction, defineFunction, type FunctionDefinition } from "../Function.ts"
import type { Keyed } from "../Trigger.ts"
import type { Held } from "./held.ts"
import { hostMetrics } from "./metrics.ts"
import type { OutcomeNews } from "./outcomes.ts"
import { bench, needs, object } from "./run.fixture.ts"
import { Runs } from "./runs.ts"
import { startWork } from "./startWork.ts"
import { raw, Thing } from "./thing.fixture.ts"

afterEach(() => void vi.useRealTimers())

/** Wakes a function for things of these names, and lets so many minutes pass. */
const worked = async (
  fn: FunctionDefinition<any>,
  names: ReadonlyArray<string>,
  { minutes = 10, runs = new Runs(), inView = names, publish = async () => undefined as void } = {}
) => {
  const { services, view, spans } = await bench()
  vi.useFakeTimers()
  for (const name of inView) view.applyWrite(Thing, raw(name, 1, "red"))
  const parked: Array<string> = []
  const bodies: Array<string> = []
  const news: Array<OutcomeNews> = []
  const work = startWork({
    fn,
    js: {
      publish: async (subject: string, body: string) => {
        await publish()
        parked.push(subject)
        bodies.push(body)
      }
    } as never,
    metrics: hostMetrics(Context.empty() as Context.Context<never>),
    say: (one) => news.push(one),
    services,
    concurrency: 1,
    runs
  })
  const settled: Array<string> = []
  for (const name of names) {
    const cause = { sequence: 0, outstanding: 1, settle: () => void settled.push(name) }
    work.wake(name, object(name, fn.batch === undefined ? "object" : "key"), cause)
  }
  await vi.advanceTimersByTimeAsync(minutes * 60_000)
  return { work, parked, bodies, news, settled, spans }
}

it("parks of a batch only what fails alone, however many fail with it at first", async () => {
  const names = ["b", "c", "bad", "d", "e"]
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
  const { work, parked, news, settled } = await worked(fn, names)
  expect(batches[0]).toEqual(names)
  expect(batches.filter((batch) => batch.includes("bad")).at(-1)).toEqual(["bad"])
  expect(parked).toEqual(["parked.count-on-change.test_example.things.default.bad"])
  expect(news.filter(({ _tag }) => _tag === "Parked")).toHaveLength(1)
  expect(settled.toSorted()).toEqual(names.toSorted())
  expect(work.size).toBe(0)
})

it.each([1_000, Number.POSITIVE_INFINITY])(
  "parks of a batch (of %d at most) what its guard throws for, and handles the rest",
  async (most) => {
    const names = ["bad", "b", "c"]
    const handled: Array<string> = []
    const fn = defineBatchFunction({
      name: "count-on-change",
      on: [Thing.touched],
      needs,
      batch: { most },
      when: ({ ref }: Keyed<Thing>) => {
        if (ref.name === "bad") throw new Error("the guard's fault")
        return true
      },
      handle: (things: ReadonlyArray<Keyed<Thing>>) => {
        handled.push(...things.map(({ ref }) => ref.name))
        return Effect.void
      }
    })
    const { parked, settled, spans } = await worked(fn, names)
    expect(handled.toSorted()).toEqual(["b", "c"])
    expect(parked).toEqual(["parked.count-on-change.test_example.things.default.bad"])
    expect(settled.toSorted()).toEqual(names.toSorted())
    expect(spans.every(({ outcome }) => outcome !== "done")).toBe(true)
  }
)

it("takes a batch of all that there is, however much", async () => {
  const names = Array.from({ length: 150_000 }, (_, i) => `n${i}`)
  const sizes: Array<number> = []
  const fn = defineBatchFunction({
    name: "count-on-change",
    on: [Thing.touched],
    needs,
    batch: { most: 1_000_000 },
    when: () => false,
    handle: (things: ReadonlyArray<Keyed<Thing>>) => Effect.sync(() => void sizes.push(things.length))
  })
  const { settled } = await worked(fn, names, { minutes: 0.1, inView: [] })
  expect(settled).toHaveLength(names.length)
})

/** Fails as it is told to, a letter a run: `r` is to be tried again, `f` is a fault of its own; then it succeeds. */
const failingSo = (howItGoes: string) => {
  const left = [...howItGoes]
  const handle = () =>
    Effect.suspend(() => {
      const how = left.shift()
      if (how === "f") return Effect.die(new Error("a fault of its own"))
      return how === "r" ? Effect.fail({ _tag: "Failed", message: "away", disposition: Retry }) : Effect.void
    })
  return { handle, left }
}

const about = { name: "count-on-change", needs }
type Handle = ReturnType<typeof failingSo>["handle"]
describe.each<[string, (handle: Handle) => FunctionDefinition<any>]>([
  ["by itself", (handle) => defineFunction({ ...about, on: [Thing.changed], handle })],
  ["in a batch", (handle) => defineBatchFunction({ ...about, on: [Thing.touched], handle })]
])("an event that is handled %s", (_, functionOf) => {
  it.each([
    ["is not parked by one fault after many failures that were none", `${"r".repeat(30)}f`, []],
    [
      "is not parked by nine faults, one that is none, and nine again",
      `${"f".repeat(9)}r${"f".repeat(9)}`,
      []
    ],
    ["is parked by ten faults in a row", "f".repeat(10), [10]],
    [
      "is parked with all its attempts, also those before the ten faults",
      `${"r".repeat(5)}${"f".repeat(10)}`,
      [15]
    ]
  ])("%s", async (__, howItGoes, attempts) => {
    const { handle, left } = failingSo(howItGoes)
    const { bodies, settled } = await worked(functionOf(handle), ["a"], { minutes: 30 })
    expect([left, settled]).toEqual([[], ["a"]])
    expect(bodies.map((body) => JSON.parse(body).attempts)).toEqual(attempts)
  })
})

it("parks after one more fault what could not be put on record", async () => {
  let isAway = true
  const { handle, left } = failingSo("f".repeat(11))
  const fn = defineFunction({ ...about, on: [Thing.changed], handle })
  const { parked } = await worked(fn, ["a"], {
    publish: async () => {
      if (isAway) {
        isAway = false
        throw new Error("NATS is away")
      }
    }
  })
  expect(left).toEqual([])
  expect(parked).toHaveLength(1)
})

const thrower = (): never => {
  throw new Error("not even that")
}
const failing = (parts: object) => () => Effect.fail({ _tag: "Odd", message: "odd", ...parts })

it.each<[string, () => unknown]>([
  ["fails without a disposition", () => Effect.fail("boom")],
  ["fails with nothing", () => Effect.fail(null)],
  ["fails with a disposition that there is not", failing({ disposition: { _tag: "Whatever" } })],
  [
    "fails with a message that throws",
    failing(
      Object.defineProperty({ disposition: Reject("No") }, "message", { get: thrower, enumerable: false })
    )
  ],
  [
    "dies of an error that throws",
    () => Effect.die(Object.defineProperty(new Error("x"), "stack", { get: thrower }))
  ],
  ["dies of something that is not to be told", () => Effect.die(Object.create(null))],
  ["interrupts itself", () => Effect.interrupt],
  ["answers with a promise", async () => "done"],
  ["answers with a text instead of an Effect", () => "done"],
  ["is to be tried again never", failing({ disposition: RetryAfter(Number.NaN) })],
  ["is to be tried again in the past", failing({ disposition: RetryAfter(-5) })],
  ["succeeds with something that is no text", () => Effect.succeed({ cyclic: 10n })],
  ["succeeds with something that is no text at all", () => Effect.succeed(Object.create(null))]
])("does not run again and again, in silence, what %s", async (_, handle) => {
  let runs = 0
  const fn = defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: (() => {
      runs++
      return handle()
    }) as never
  })
  const { news } = await worked(fn, ["a"], { minutes: 10 })
  // At the pace of what fails for a reason; most of it is parked by then.
  expect(runs).toBeLessThan(50)
  expect(news.length).toBeGreaterThan(0)
})

it("keeps what a run says within what a message may hold", async () => {
  const long = "x".repeat(5_000_000)
  const fn = defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: (thing: Thing) =>
      thing.metadata.name === "a" ? Effect.succeed(long) : Effect.die(new Error(long))
  })
  const { spans, news, parked } = await worked(fn, ["a", "b"])
  expect(parked).toHaveLength(1)
  expect(Math.max(...[...spans, ...news].map((one) => JSON.stringify(one).length))).toBeLessThan(20_000)
})

it.each<[string, Effect.Effect<never>]>([
  ["that never ends", Effect.never],
  ["that does not listen", Effect.uninterruptible(Effect.never)]
])("interrupts a run %s, and parks it in the end", async (_, endless) => {
  let begun = 0
  const fn = defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: (thing: Thing) => {
      if (thing.metadata.name !== "bad") return Effect.void
      begun++
      return endless
    }
  })
  const runs = new Runs(60_000)
  const first = await worked(fn, ["bad", "b"], { minutes: 0.5, runs })
  expect(first.settled).toEqual([])
  const watch = setInterval(() => runs.endOverdue(), 1_000)
  await vi.advanceTimersByTimeAsync(2 * 60_000)
  expect(first.settled).toContain("b")
  await vi.advanceTimersByTimeAsync(30 * 60_000)
  clearInterval(watch)
  expect(begun).toBe(10)
  expect(first.parked).toEqual(["parked.paint-on-change.test_example.things.default.bad"])
  expect(first.news.find(({ _tag }) => _tag === "Parked")).toMatchObject({
    cause: expect.stringContaining("had not ended after 1 minutes, and was interrupted")
  })
})

/** A function that is never done, for so many hours, and the log that it is woken from by one event. */
const neverDone = async (
  fn: FunctionDefinition<any>,
  { names = ["a"], hours = 61, loses = 0, delivers = true } = {}
) => {
  const { services, view } = await bench()
  vi.useFakeTimers()
  for (const name of names) view.applyWrite(Thing, raw(name, 1, "red"))
  const start = Date.now()
  const held = new Map<number, Held>()
  const renewed: Array<string> = []
  let sequence = 0
  let oldest = 0
  const happen = (woken: ReadonlyArray<string>) => {
    const event: Held = {
      sequence: ++sequence,
      outstanding: woken.length,
      message: undefined,
      woken: { sequence, at: Date.now(), uid: "", resourceVersion: "" },
      settle: () => void held.delete(event.sequence)
    }
    held.set(sequence, event)
    for (const name of woken) work.wake(name, object(name, fn.batch === undefined ? "object" : "key"), event)
  }
  const hoursSince = (millis: number) => Math.floor((Date.now() - millis) / 3_600_000)
  const work = startWork({
    fn,
    js: {} as never,
    metrics: hostMetrics(Context.empty() as Context.Context<never>),
    say: () => {
      for (const { woken } of held.values()) oldest = Math.max(oldest, hoursSince(woken!.at))
    },
    services: {
      ...services,
      wake: async (_name, _kind, { name }) => {
        if (loses-- > 0) throw new Error("no responders")
        renewed.push(`${name} ${hoursSince(start)}`)
        if (delivers) happen([name])
      }
    },
    concurrency: 1
  })
  happen(names)
  await vi.advanceTimersByTimeAsync(hours * 3_600_000)
  return { renewed, oldest, held: [...held.keys()] }
}

const waiting = (wait: Duration.Input) =>
  defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: (_: Thing) => Effect.fail({ _tag: "Wet", message: "wet", disposition: RetryAfter(wait) })
  })
const allWait = defineBatchFunction({
  name: "count-on-change",
  on: [Thing.touched],
  needs,
  handle: (_: ReadonlyArray<Keyed<Thing>>) =>
    Effect.fail({ _tag: "Wet", message: "wet", disposition: RetryAfter("1 hour") })
})

it.each<[string, FunctionDefinition<any>]>([
  ["one object at a time", waiting("1 hour")],
  ["in a batch", allWait],
  ["after days each time", waiting("3 days")]
])("wakes anew what is tried again %s, before its event leaves the log, and once for each", async (_, fn) => {
  const { renewed, oldest, held } = await neverDone(fn)
  expect(renewed).toEqual(["a 12", "a 24", "a 36", "a 48", "a 60"])
  expect(oldest).toBeLessThan(24)
  expect(held).toEqual([6])
})

it("lets go of an event when each object that it woke has a wake-up of its own", async () => {
  const { renewed, held } = await neverDone(waiting("1 hour"), { names: ["a", "b"], hours: 20 })
  expect(renewed).toEqual(["a 12", "b 12"])
  expect(held).toEqual([2, 3])
})

it("tries again to wake anew when it could not, and not when that is only on its way", async () => {
  const { renewed, held } = await neverDone(allWait, { loses: 2, delivers: false })
  expect(renewed).toEqual(["a 14"])
  expect(held).toEqual([1])
})

it("ends all runs when who runs them ends, and counts none of them as failed", async () => {
  const fn = defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: () => Effect.never
  })
  const runs = new Runs()
  const { work, news } = await worked(fn, ["a"], { runs })
  const ended = work.stop()
  runs.endAll()
  await vi.advanceTimersByTimeAsync(5_000)
  expect(await ended).toHaveLength(1)
  expect(news).toEqual([])
})
