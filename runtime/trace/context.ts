import { randomBytes } from "node:crypto"
import { own } from "../nats/own.ts"

/** W3C trace context: 16 bytes of trace id, 8 bytes of span id, in lower-case hex. */
export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
}

// Random bytes are taken in blocks: one system call for 256 spans.
let block = Buffer.alloc(0)
let offset = 0
const hex = (bytes: number): string => {
  if (offset + bytes > block.length) {
    block = randomBytes(24 * 256)
    offset = 0
  }
  offset += bytes
  return block.toString("hex", offset - bytes, offset)
}

export const newSpan = (parent?: SpanContext): SpanContext => ({
  traceId: parent?.traceId ?? hex(16),
  spanId: hex(8)
})

/** https://www.w3.org/TR/trace-context/#traceparent-header */
export const traceparentOf = (span: SpanContext): string => `00-${span.traceId}-${span.spanId}-01`

export const parseTraceparent = (header: string | undefined): SpanContext | undefined => {
  const match = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/.exec(header ?? "")
  return match === null ? undefined : { traceId: own(match[1]!), spanId: own(match[2]!) }
}
