import type { JsMsg } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"

/**
 * What is kept of a message until it is done: where to answer. The message itself, with its headers and the piece of
 * the socket's buffer that it is a view of, is 10 KB, and in a fill thousands wait.
 */
export class Delivery {
  readonly #connection: NatsConnection
  readonly #reply: string
  /** When the server last heard of it, or gave it to us, by the monotonic clock. */
  saidAt = performance.now()

  constructor(connection: NatsConnection, message: JsMsg) {
    this.#connection = connection
    // Every message has it; the client's type leaves it out.
    this.#reply = (message as JsMsg & { readonly reply: string }).reply
  }

  ack(): void {
    this.#answer("+ACK")
  }

  /** Somebody else should be given it, now. */
  nak(): void {
    this.#answer("-NAK")
  }

  /** It is still being worked on. */
  working(): void {
    this.saidAt = performance.now()
    this.#answer("+WPI")
  }

  // https://docs.nats.io/using-nats/developer/develop_jetstream/consumers#delivery-reliability
  #answer(word: string): void {
    if (!this.#connection.isClosed() && !this.#connection.isDraining()) {
      this.#connection.publish(this.#reply, word)
    }
  }
}
