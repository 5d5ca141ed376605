import { JetStreamApiError } from "@nats-io/jetstream"
import { headers, type NatsConnection, nuid } from "@nats-io/transport-node"

/** As many messages as the server takes in one batch. */
export const mostInBatch = 1_000

export interface AtomicMessage {
  readonly subject: string
  readonly body: string
  readonly headers: { readonly [name: string]: string }
}

interface Answer {
  readonly seq: number
  readonly count: number
  readonly error?: { readonly code: number; readonly err_code: number; readonly description: string }
}

/**
 * Publishes all of the messages or none, one after the other in the stream. Returns the sequence of the first. The
 * client has the like of it, which drops the expected sequences.
 *
 * @throws JetStreamApiError when the server refuses it. What times out may be stored or not.
 */
export const publishAtomic = async (
  connection: NatsConnection,
  messages: ReadonlyArray<AtomicMessage>,
  timeoutMillis: number
): Promise<number> => {
  const id = nuid.next()
  let answer: Answer | undefined
  for (const [i, message] of messages.entries()) {
    const isLast = i === messages.length - 1
    const h = headers()
    for (const [name, value] of Object.entries(message.headers)) h.set(name, value)
    h.set("Nats-Batch-Id", id)
    h.set("Nats-Batch-Sequence", String(i + 1))
    if (isLast) h.set("Nats-Batch-Commit", "1")
    if (i > 0 && !isLast) {
      connection.publish(message.subject, message.body, { headers: h })
      continue
    }
    // The first is answered when the server takes batches at all, the last when everything is stored.
    const reply = await connection.request(message.subject, message.body, {
      headers: h,
      timeout: timeoutMillis
    })
    answer = reply.data.length === 0 ? undefined : reply.json<Answer>()
    if (answer?.error !== undefined) throw new JetStreamApiError(answer.error)
  }
  if (answer === undefined) throw new Error("the server did not answer the end of the batch")
  return answer.seq - messages.length + 1
}
