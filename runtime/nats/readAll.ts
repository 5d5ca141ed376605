import { DeliverPolicy, type JetStreamClient, type JsMsg } from "@nats-io/jetstream"
import { watchOver } from "./watchOver.ts"

export interface ReadAll {
  readonly stream: string
  readonly filters: ReadonlyArray<string>
  /** Only the newest message of each subject. */
  readonly lastPerSubject?: boolean
  /** From this sequence on. */
  readonly from?: number
  readonly headersOnly?: boolean
  /** Ends the reading: a stream that is gone, or a server that is away, would not. */
  readonly signal?: AbortSignal
}

/** Hands over every message that matches now, in the stream's order, then returns. Throws the signal's reason. */
export const readAll = async (
  js: JetStreamClient,
  what: ReadAll,
  each: (message: JsMsg) => void
): Promise<void> => {
  const consumer = await js.consumers.get(what.stream, {
    filter_subjects: [...what.filters],
    headers_only: what.headersOnly ?? false,
    ...(what.lastPerSubject === true ? { deliver_policy: DeliverPolicy.LastPerSubject } : {}),
    ...(what.from === undefined
      ? {}
      : { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: what.from })
  })
  try {
    if ((await consumer.info(true)).num_pending === 0) return
    what.signal?.throwIfAborted()
    const messages = await consumer.consume({ max_messages: 1_000, expires: 5_000, idle_heartbeat: 1_000 })
    const stop = () => messages.stop()
    what.signal?.addEventListener("abort", stop, { once: true })
    let received = 0
    let isRead = false
    const caughtUp = () => {
      isRead = true
      messages.stop()
    }
    watchOver(js, consumer, messages, () => received, caughtUp)
    for await (const message of messages) {
      each(message)
      received = message.info.deliverySequence
      isRead = message.info.pending === 0
      if (isRead) break
    }
    what.signal?.removeEventListener("abort", stop)
    if (!isRead) what.signal?.throwIfAborted()
  } finally {
    await consumer.delete().catch(() => false)
  }
}
