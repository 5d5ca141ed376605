import type { NatsConnection } from "@nats-io/transport-node"
import { token } from "../nats/names.ts"
import type { SpanContext } from "./context.ts"
import type { SpanRecord } from "./span.ts"

/**
 * `trace.<trace id>.<object>.<sequence>`: the object's path as one token, and the event that woke the run (0 for
 * none). Found by each of the three; `*` stands for any.
 */
export const traceSubject = (traceId: string, object: string, sequence: number | "*"): string =>
  `trace.${traceId}.${object === "*" ? "*" : token(object)}.${sequence}`

const maxBuffered = 10_000
const flushMillis = 50
const rememberedCauses = 20_000

/**
 * Sends finished spans to `TRACE`, in batches, and remembers which span made which state of an object, so
 * that the event of our own write continues the trace of the write.
 *
 * Spans are not waited for. While NATS is away up to 10,000 are kept; older ones are dropped, and counted.
 */
export class SpanRecorder {
  readonly #connection: NatsConnection
  readonly #isConnected: () => boolean
  readonly #causes = new Map<string, SpanContext>()
  #buffer: Array<SpanRecord> = []
  #timer: ReturnType<typeof setTimeout> | undefined
  dropped = 0

  constructor(connection: NatsConnection, isConnected: () => boolean) {
    this.#connection = connection
    this.#isConnected = isConnected
  }

  record(span: SpanRecord): void {
    this.#buffer.push(span)
    if (this.#buffer.length > maxBuffered) {
      this.#buffer.shift()
      this.dropped++
    }
    this.#timer ??= setTimeout(() => this.flush(), flushMillis)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#buffer.length === 0 || this.#connection.isClosed()) return
    if (!this.#isConnected()) {
      this.#timer = setTimeout(() => this.flush(), 1_000)
      return
    }
    const bySubject = Map.groupBy(this.#buffer, (span) =>
      traceSubject(span.traceId, span.object, span.event?.sequence ?? 0)
    )
    this.#buffer = []
    for (const [subject, spans] of bySubject) {
      try {
        this.#connection.publish(subject, JSON.stringify(spans))
      } catch {
        // Larger than a message may be, say. A trace is not worth a process.
        this.dropped += spans.length
      }
    }
  }

  /** This state is the work of this span. */
  caused(uid: string, resourceVersion: string, span: SpanContext): void {
    this.#causes.set(`${uid}.${resourceVersion}`, span)
    if (this.#causes.size > rememberedCauses) {
      for (const oldest of this.#causes.keys()) {
        this.#causes.delete(oldest)
        break
      }
    }
  }

  causeOf(uid: string, resourceVersion: string): SpanContext | undefined {
    return this.#causes.get(`${uid}.${resourceVersion}`)
  }
}
