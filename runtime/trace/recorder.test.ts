import { afterEach, expect, it, vi } from "vitest"
import { SpanRecorder } from "./recorder.ts"
import type { SpanRecord } from "./span.ts"

afterEach(() => void vi.useRealTimers())

it("a span that cannot be sent is dropped, and counted; the others are sent", () => {
  vi.useFakeTimers()
  const sent: Array<string> = []
  const publish = (_subject: string, body: string) => {
    if (body.length > 1_000) throw new Error("'payload' max_payload size exceeded")
    sent.push(body)
  }
  const recorder = new SpanRecorder({ isClosed: () => false, publish } as never, () => true)
  const span = (object: string, decision: unknown) =>
    ({ traceId: "t", spanId: "s", object, decision, writes: [] }) as unknown as SpanRecord
  recorder.record(span("a", "x".repeat(2_000)))
  recorder.record(span("b", 10n))
  recorder.record(span("c", "done"))
  vi.advanceTimersByTime(100)
  expect(recorder.dropped).toBe(2)
  expect(sent).toEqual([expect.stringContaining('"decision":"done"')])
})
