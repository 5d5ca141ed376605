import type { Delivery } from "./delivery.ts"

/** How long what is done may wait for others: far less than an ack wait. */
const gatherMillis = 10

/**
 * Acknowledges together what is done within a few milliseconds, for all functions of a host. The client flushes after
 * every microtask, so that acknowledgements one by one would be a system call each, here and at the server.
 */
export class Acks {
  #waiting: Array<Pick<Delivery, "ack">> = []
  #timer: ReturnType<typeof setTimeout> | undefined

  ack(message: Pick<Delivery, "ack">): void {
    this.#timer ??= setTimeout(() => this.flush(), gatherMillis)
    this.#waiting.push(message)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const waiting = this.#waiting
    this.#waiting = []
    for (const message of waiting) message.ack()
  }
}
