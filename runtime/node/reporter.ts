import type { NatsConnection } from "@nats-io/transport-node"
import { headers } from "@nats-io/transport-node"
import type { Report } from "../Fleet.ts"
import { reportSubject } from "../fleet/messages.ts"
import { StreamPublisher } from "../nats/publish.ts"

const timeoutMillis = 5_000

/** Sends what this node reports, and keeps the last report of each claim until it is stored. */
export class Reporter {
  readonly #node: string
  /** Claim → its last report that is not known to be stored */
  readonly #unsent = new Map<string, Report>()
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
    for (const report of this.#unsent.values()) this.#send(report)
  }

  end(): void {
    this.#publisher?.abandon()
    this.#publisher?.close()
    this.#publisher = undefined
  }

  add(report: Report): void {
    this.#unsent.delete(report.claim)
    this.#unsent.set(report.claim, report)
    this.#send(report)
  }

  /** Resolves when everything is stored, or after so long. */
  async settled(withinMillis: number): Promise<void> {
    const deadline = performance.now() + withinMillis
    while (this.#unsent.size > 0 && this.#publisher !== undefined && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }

  #send(report: Report): void {
    const publisher = this.#publisher
    if (publisher === undefined) return
    const { claim, what, node: _node, ...body } = report
    const subject = reportSubject(this.#node, claim, what)
    publisher.publish(subject, JSON.stringify(body), headers()).then(
      () => {
        if (this.#unsent.get(claim) === report) this.#unsent.delete(claim)
      },
      () => {
        // A server that is there but slow, or has lost the stream for a moment; the next life sends it otherwise.
        setTimeout(() => {
          if (this.#publisher === publisher && this.#unsent.get(claim) === report) this.#send(report)
        }, 500)
      }
    )
  }
}
