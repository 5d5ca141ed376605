import { JetStreamApiError } from "@nats-io/jetstream"
import {
  type ConnectionOptions,
  createInbox,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Subscription
} from "@nats-io/transport-node"

/** No answer came in time: it may be stored or not. */
export class Unacknowledged extends Error {
  override readonly name = "Unacknowledged"
}

interface Pending {
  readonly resolve: (sequence: number) => void
  readonly reject: (cause: Error) => void
  readonly deadline: number
}

interface Queued {
  readonly subject: string
  readonly body: string
  readonly headers: MsgHdrs
  readonly reply: string
}

interface Answer {
  readonly seq: number
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string }
}

const sweepMillis = 250

/** Who publishes again so soon has much to publish: a system call, and a wake-up of the server, is then for many. */
const gatherMillis = 2

/**
 * Publishes to a stream, many at a time. The client's own `js.publish` makes two errors with their stacks, a timer and
 * a system call for each message; here one turn of the event loop is one system call, under load two milliseconds are,
 * and one timer watches over all.
 * Measured with 1 KB messages, that is half of the bridge's CPU time.
 */
export class StreamPublisher {
  readonly #connection: NatsConnection
  readonly #timeoutMillis: number
  readonly #inbox: string
  readonly #answers: Subscription
  readonly #pending = new Map<string, Pending>()
  #queue: Array<Queued> = []
  #next = 0
  #flushedAt = Number.NEGATIVE_INFINITY
  #sweeper: ReturnType<typeof setInterval> | undefined

  constructor(connection: NatsConnection, timeoutMillis: number) {
    this.#connection = connection
    this.#timeoutMillis = timeoutMillis
    // Who may hear only what is under a prefix of its own gets no answers elsewhere.
    const { inboxPrefix } = (connection as { readonly options?: ConnectionOptions }).options ?? {}
    this.#inbox = createInbox(inboxPrefix)
    this.#answers = connection.subscribe(`${this.#inbox}.*`, {
      // That answers may not be heard is told without one; what throws here ends the client's reading.
      callback: (error, message) => {
        if (error === null) this.#answered(message)
      }
    })
  }

  /**
   * Resolves with the sequence under which the message is stored.
   *
   * @throws JetStreamApiError when the server refuses it, Unacknowledged when nothing answers in time.
   */
  publish(subject: string, body: string, headers: MsgHdrs): Promise<number> {
    const token = (this.#next++).toString(36)
    return new Promise((resolve, reject) => {
      this.#pending.set(token, { resolve, reject, deadline: performance.now() + this.#timeoutMillis })
      this.#sweeper ??= setInterval(() => this.#sweep(), sweepMillis)
      if (this.#queue.length === 0) this.#flushSoon()
      this.#queue.push({ subject, body, headers, reply: `${this.#inbox}.${token}` })
    })
  }

  /** The connection was lost, and with it every answer that was on its way. */
  abandon(): void {
    const pending = [...this.#pending.values()]
    this.#pending.clear()
    for (const { reject } of pending) reject(new Unacknowledged("the connection was lost"))
  }

  /** Waits for no more answers. */
  close(): void {
    clearInterval(this.#sweeper)
    this.#answers.unsubscribe()
  }

  #flushSoon(): void {
    const wait = this.#flushedAt + gatherMillis - performance.now()
    if (wait > 0) setTimeout(() => this.#flush(), wait)
    else setImmediate(() => this.#flush())
  }

  #flush(): void {
    this.#flushedAt = performance.now()
    const queue = this.#queue
    this.#queue = []
    for (const { subject, body, headers, reply } of queue) {
      try {
        this.#connection.publish(subject, body, { headers, reply })
      } catch (cause) {
        this.#take(reply)?.reject(cause instanceof Error ? cause : new Error(String(cause)))
      }
    }
  }

  #answered(message: Msg): void {
    const pending = this.#take(message.subject)
    if (pending === undefined) return
    if (message.headers?.code === 503) {
      pending.reject(new Unacknowledged("no stream takes this subject"))
      return
    }
    try {
      const answer = message.json<Answer>()
      if (answer.error !== undefined) pending.reject(new JetStreamApiError(answer.error))
      else pending.resolve(answer.seq)
    } catch (cause) {
      pending.reject(new Unacknowledged(`an answer that is none: ${String(cause)}`))
    }
  }

  #take(reply: string): Pending | undefined {
    const token = reply.slice(this.#inbox.length + 1)
    const pending = this.#pending.get(token)
    this.#pending.delete(token)
    return pending
  }

  #sweep(): void {
    const now = performance.now()
    for (const [token, { deadline, reject }] of this.#pending) {
      // Deadlines are in the order of the map.
      if (deadline > now) break
      this.#pending.delete(token)
      reject(new Unacknowledged(`no answer within ${this.#timeoutMillis} ms`))
    }
    if (this.#pending.size === 0) {
      clearInterval(this.#sweeper)
      this.#sweeper = undefined
    }
  }
}
