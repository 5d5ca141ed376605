import type { JsMsg } from "@nats-io/jetstream"
import type { Report } from "../Fleet.ts"
import { newSpan, parseTraceparent, traceparentOf } from "../trace/context.ts"
import type { SpanRecord } from "../trace/span.ts"

/** The trace that each claim's doings on this node belong to: the one of the run that placed it here. */
export class Tracing {
  readonly #node: string
  readonly #record: (span: SpanRecord) => void
  /** Claim → `traceparent` of its newest assignment */
  readonly #parents = new Map<string, string>()

  constructor(node: string, record: (span: SpanRecord) => void) {
    this.#node = node
    this.#record = record
  }

  assigned(claim: string, message: JsMsg | undefined): void {
    const parent = message?.headers?.get("traceparent")
    if (parent !== undefined && parent !== "") this.#parents.set(claim, parent)
  }

  /** The `traceparent` that a report carries. What no function has decided is a span of its own: a takeover. */
  of(report: Report): string | undefined {
    const parent = this.#parents.get(report.claim)
    if (report.what === "released") this.#parents.delete(report.claim)
    if (report.what !== "taken") return parent
    const context = parseTraceparent(parent)
    const span = newSpan(context)
    this.#record({
      ...span,
      ...(context === undefined ? {} : { parentSpanId: context.spanId }),
      function: "bind-on-node",
      host: this.#node,
      object: `assignments.nats/${report.claim}`,
      start: report.at,
      end: Date.now(),
      writes: [],
      outcome: "done",
      decision: `took ${report.address}, since its holder was silent: put it on ${report.link} and announced it with ${report.mac}`,
      attempt: 1
    })
    return traceparentOf(span)
  }
}
