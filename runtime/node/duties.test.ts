import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { afterEach, describe, expect, it, vi } from "vitest"
import { Assignment } from "../Assignment.ts"
import { defineFunction } from "../Function.ts"
import { read } from "../Needs.ts"
import { NoFittingLink } from "../Wire.ts"
import { Duties } from "./duties.ts"
import { address } from "./surroundings.fixture.ts"

const seen: Array<number> = []
vi.mock("../host/work.ts", async (original) => {
  const real = await original<typeof import("../host/work.ts")>()
  return {
    ...real,
    Work: class extends real.Work<any> {
      constructor(o: any) {
        super({
          ...o,
          run: (k: any, t: any, causes: any, a: any) => {
            seen.push(causes.length)
            return o.run(k, t, causes, a)
          }
        })
      }
    }
  }
})

describe("the reasons to run", () => {
  it("do not add up for what cannot be bound", async () => {
    const fails = defineFunction({
      name: "fail-on-node",
      on: [Assignment.touched],
      needs: [read(Assignment)],
      handle: () => Effect.fail(new NoFittingLink({ address, detail: "none" }))
    })
    let ended = 0
    const duties = new Duties({
      functions: [fails],
      node: "me",
      context: Context.empty() as never,
      record: () => undefined,
      ended: () => void ended++
    })
    duties.set("10-0-0-1", { role: "holder", claim: "10-0-0-1", address, term: 1 }, undefined)
    for (let i = 1; i <= 200; i++) {
      await vi.waitUntil(() => ended >= i, { interval: 1 })
      duties.wake("10-0-0-1")
    }
    await duties.stop()
    expect(Math.max(...seen)).toBeLessThan(3)
  })
})

describe("a handler on a node that fails by a fault of its own", () => {
  afterEach(() => void vi.useRealTimers())

  it("is run each 30 seconds once it has done so ten times in a row", async () => {
    vi.useFakeTimers()
    const times: Array<number> = []
    const fails = defineFunction({
      name: "fail-on-node",
      on: [Assignment.touched],
      needs: [read(Assignment)],
      handle: () => Effect.sync(() => times.push(Date.now())).pipe(Effect.andThen(Effect.die("a fault")))
    })
    const duties = new Duties({
      functions: [fails],
      node: "me",
      context: Context.empty() as never,
      record: () => undefined,
      ended: () => undefined
    })
    duties.set("10-0-0-1", { role: "holder", claim: "10-0-0-1", address, term: 1 }, undefined)
    await vi.advanceTimersByTimeAsync(10 * 60_000)
    await duties.stop()
    const waits = times.slice(1).map((time, i) => Math.floor((time - times[i]!) / 1_000))
    expect(waits.length).toBeGreaterThan(20)
    expect(new Set(waits.slice(9))).toEqual(new Set([30]))
  })
})
