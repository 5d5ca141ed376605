import { DeliverPolicy, type JetStreamClient, type JsMsg } from "@nats-io/jetstream"

export interface ReadAll {
  readonly stream: string
  readonly filters: ReadonlyArray<string>
  /** Only the newest message of each subject. */
  readonly lastPerSubject?: boolean
  /** From this sequence on. */
  readonly from?: number
  readonly headersOnly?: boolean
}

/** Hands over every message that matches now, in the stream's order, then returns. */
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
    for await (const message of await consumer.consume({ max_messages: 1_000 })) {
      each(message)
      if (message.info.pending === 0) break
    }
  } finally {
    await consumer.delete().catch(() => false)
  }
}
