import type { Delivery } from "./delivery.ts"

/**
 * Acknowledges together what is done in one turn of the event loop. The client flushes after every microtask, so that
 * acknowledgements one by one would be a system call each.
 */
export class Acks {
  #waiting: Array<Pick<Delivery, "ack">> = []

  ack(message: Pick<Delivery, "ack">): void {
    if (this.#waiting.length === 0) setImmediate(() => this.flush())
    this.#waiting.push(message)
  }

  flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const message of waiting) message.ack()
  }
}
