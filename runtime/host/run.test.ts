import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type Disposed, type Disposition, Park, Reject, Retry, RetryAfter } from "../Disposition.ts"
import { defineFunction, type FunctionDefinition } from "../Function.ts"
import type { Kube } from "../Kube.ts"
import { every } from "../Trigger.ts"
import { bench, needs, object } from "./run.fixture.ts"
import { backoffMillis, maxFaults } from "./run.ts"
import { Thing } from "./thing.fixture.ts"

const failure = (disposition: Disposition): Disposed => ({
  _tag: "Failed",
  message: "it failed",
  disposition
})
const failing = (disposition: Disposition) =>
  defineFunction({
    name: "paint-on-change",
    on: [Thing.changed],
    needs,
    handle: () => Effect.fail(failure(disposition))
  })
const doing = (handle: (thing: Thing) => Effect.Effect<any, Disposed, Kube>, more: object = {}) =>
  defineFunction({ name: "paint-on-change", on: [Thing.changed], needs, handle, ...more })

describe("a run", () => {
  it("hands over the present state, and records what was decided", async () => {
    const { run, spans } = await bench()
    const ended = await run(doing((thing) => Effect.succeed(`it is ${thing.spec.colour}`)))
    expect(ended).toEqual({ _tag: "Done", decision: "it is red" })
    expect(spans).toMatchObject([
      {
        function: "paint-on-change",
        host: "here",
        object: "things.test.example/default/a",
        outcome: "done",
        attempt: 1
      }
    ])
  })

  it("leaves no trace when it had nothing to do", async () => {
    const { run, spans } = await bench()
    expect(await run(doing(() => Effect.void))).toEqual({ _tag: "Done", decision: undefined })
    expect(spans).toEqual([])
  })

  it("does not begin when a guard says no, and asks the others no more", async () => {
    const { run } = await bench()
    const asked: Array<string> = []
    const guard = (name: string, answer: boolean) => () => {
      asked.push(name)
      return answer
    }
    const when = [guard("first", true), guard("second", false), guard("third", true)]
    const ended = await run(doing(() => Effect.die("it ran"), { when }))
    expect([ended, asked]).toEqual([{ _tag: "GuardSaidNo" }, ["first", "second"]])
  })

  it("is over when the object is gone, unless it is given the key", async () => {
    const { run } = await bench()
    expect(
      await run(
        doing(() => Effect.die("it ran")),
        {},
        object("none")
      )
    ).toEqual({ _tag: "Gone" })
    const keyed = defineFunction({
      name: "paint-on-touch",
      on: [Thing.touched],
      needs,
      handle: ({ ref, now }) => Effect.succeed(`${ref.name} ${now === undefined ? "gone" : "there"}`)
    })
    expect(await run(keyed, {}, object("none", "key"))).toEqual({ _tag: "Done", decision: "none gone" })
    expect(await run(keyed, {}, object("a", "key"))).toEqual({ _tag: "Done", decision: "a there" })
  })

  it("of a timer is told the time", async () => {
    const { run } = await bench()
    const timer = defineFunction({
      name: "paint-on-time",
      on: [every("1 second")],
      needs: [],
      handle: ({ at: time }) => Effect.succeed(String(time))
    })
    expect(await run(timer, {}, { _tag: "Tick", at: 5_000 })).toEqual({ _tag: "Done", decision: "5000" })
  })
})

describe("a handler that fails", () => {
  it("is tried again after an exponential wait, however often", async () => {
    const { run, spans } = await bench()
    const ended = await run(failing(Retry), { attempt: 50, faults: 9 })
    expect(ended).toMatchObject({ _tag: "Again", cause: "it failed" })
    expect(spans).toMatchObject([{ outcome: "retry", decision: "it failed", attempt: 50 }])
  })

  it("is tried again after the wait that it asks for", async () => {
    const { run } = await bench()
    expect(await run(failing(RetryAfter("7 seconds")))).toEqual({
      _tag: "Again",
      afterMillis: 7_000,
      cause: "it failed"
    })
  })

  it("that waits for somebody else to act says so on the object", async () => {
    const { run, notes } = await bench()
    const ended = await run(failing(RetryAfter("30 seconds", "NotAllowed")))
    expect(ended).toMatchObject({ _tag: "Again", afterMillis: 30_000, cause: "it failed" })
    expect(notes).toEqual([
      { type: "Warning", reason: "NotAllowed", message: "it failed", by: "paint-on-change" }
    ])
  })

  it("is done with when it rejects, with a Warning on the object", async () => {
    const { run, notes, spans } = await bench()
    expect(await run(failing(Reject("TooRed")))).toMatchObject({ _tag: "Rejected", cause: "it failed" })
    expect(notes).toEqual([
      { type: "Warning", reason: "TooRed", message: "it failed", by: "paint-on-change" }
    ])
    expect(spans).toMatchObject([{ outcome: "rejected" }])
  })

  it.each<[string, FunctionDefinition<any>]>([
    ["by a fault of ours", failing(Park)],
    ["by a defect", doing(() => Effect.die(new Error("it failed")))],
    [
      "by an exception of a guard",
      doing(() => Effect.void, {
        when: () => {
          throw new Error("it failed")
        }
      })
    ],
    [
      "by an exception",
      doing(() => {
        throw new Error("it failed")
      })
    ]
  ])("%s is parked after ten such runs in a row, with its cause", async (_, fn) => {
    const { run, spans } = await bench()
    for (let faults = 0; faults < maxFaults - 1; faults++) {
      // However often it was tried for other reasons.
      expect(await run(fn, { attempt: 100 + faults, faults })).toMatchObject({ _tag: "Again", isFault: true })
    }
    const ended = await run(fn, { attempt: 109, faults: maxFaults - 1 })
    expect(ended).toMatchObject({ _tag: "Park", cause: expect.stringContaining("it failed") })
    expect(spans.map(({ outcome }) => outcome)).toEqual([...Array(9).fill("retry"), "parked"])
  })

  it("by interrupting itself has a fault of its own, as nobody else has ended it", async () => {
    const { run } = await bench()
    expect(await run(doing(() => Effect.interrupt))).toMatchObject({
      _tag: "Again",
      isFault: true,
      cause: expect.stringContaining("the handler interrupted itself")
    })
  })

  it("waits twice as long each time, up to half a minute, by chance down to half of that", () => {
    const longest = [1, 2, 3, 4, 9, 10, 11, 99].map((attempt) => backoffMillis(attempt, 1))
    expect(longest).toEqual([50, 100, 200, 400, 12_800, 25_600, 30_000, 30_000])
    expect(backoffMillis(3, 0)).toBe(100)
  })
})
