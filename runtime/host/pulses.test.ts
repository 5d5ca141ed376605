import * as Effect from "effect/Effect"
import { afterEach, expect, it, vi } from "vitest"
import { defineFunction } from "../Function.ts"
import { every } from "../Trigger.ts"
import { startPulses } from "./pulses.ts"

afterEach(() => void vi.useRealTimers())

const ticker = defineFunction({
  name: "tick-on-time",
  on: [every("1 minute")],
  needs: [],
  handle: () => Effect.void
})

it.each([
  ["a second", 1_000],
  ["an hour", 3_600_000],
  ["60 days", 60 * 86_400_000]
])("a timer goes on when the clock is set back by %s, once per interval", (_, millis) => {
  vi.useFakeTimers({ now: Date.UTC(2026, 5, 1, 12, 0, 30) })
  const ids: Array<string> = []
  const publish = async (_subject: string, _body: string, { msgID }: { msgID: string }) => ids.push(msgID)
  const stop = startPulses({ functions: [ticker], js: { publish } as never, say: () => undefined })
  vi.advanceTimersByTime(2 * 60_000)
  expect(ids).toHaveLength(2)
  vi.setSystemTime(Date.now() - millis)
  vi.advanceTimersByTime(4 * 60_000)
  stop()
  expect(ids.length).toBeGreaterThanOrEqual(5)
  expect(ids.length).toBeLessThanOrEqual(6)
  expect(new Set(ids).size).toBe(ids.length)
})
