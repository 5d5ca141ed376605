import type { NatsConnection } from "@nats-io/transport-node"
import { headers } from "@nats-io/transport-node"
import type { Report } from "../Fleet.ts"
import { reportSubject } from "../fleet/messages.ts"
import { StreamPublisher } from "../nats/publish.ts"

const timeoutMillis = 5_000

interface Told {
  readonly report: Report
  readonly traceparent: string | undefined
}

/** Sends what this node reports, and keeps the last report of each claim until it is stored. */
export class Reporter {
  readonly #node: string
  /** Claim → its last report that is not known to be stored, with the trace that it belongs to */
  readonly #unsent = new Map<string, Told>()
  #publisher: StreamPublisher | undefined

  constructor(node: string) {
    this.#node = node
  }

  get waiting(): number {
    return this.#unsent.size
  }

  /** From now on reports go out, those that waited first. The node's inventory is there already. */
  begin(connection: NatsConnection): void {
    this.end()
    this.#publisher = new StreamPublisher(connection, timeoutMillis)
    for (const told of this.#unsent.values()) this.#send(told)
  }

  end(): void {
    this.#publisher?.abandon()
    this.#publisher?.close()
    this.#publisher = undefined
  }

  add(report: Report, traceparent: string | undefined): void {
    const told = { report, traceparent }
    this.#unsent.delete(report.claim)
    this.#unsent.set(report.claim, told)
    this.#send(told)
  }

  /** Resolves when everything is stored, or after so long. */
  async settled(withinMillis: number): Promise<void> {
    const deadline = performance.now() + withinMillis
    while (this.#unsent.size > 0 && this.#publisher !== undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  #send(told: Told): void {
    const publisher = this.#publisher
    if (publisher === undefined) return
    const { claim, what, node: _node, ...body } = told.report
    const subject = reportSubject(this.#node, claim, what)
    const h = headers()
    if (told.traceparent !== undefined) h.set("traceparent", told.traceparent)
    publisher.publish(subject, JSON.stringify(body), h).then(
      () => {
        if (this.#unsent.get(claim) === told) this.#unsent.delete(claim)
      },
      () => {
        // A server that is there but slow, or has lost the stream for a moment; the next life sends it otherwise.
        setTimeout(() => {
          if (this.#publisher === publisher && this.#unsent.get(claim) === told) this.#send(told)
        }, 500)
      }
    )
  }
}
