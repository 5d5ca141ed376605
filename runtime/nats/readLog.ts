import type { JetStreamManager, StoredMsg } from "@nats-io/jetstream"

const eventsAtOnce = 1_000
const noMessages = 404

/**
 * Hands over every message of the log that matches now, filter by filter, each in the log's order. Without a consumer:
 * who may make one on the log could also change a function's.
 */
export const readLog = async (
  jsm: JetStreamManager,
  filters: ReadonlyArray<string>,
  take: (message: StoredMsg) => void,
  from = 1
): Promise<void> => {
  for (const filter of filters) {
    for (let seq = from, count = eventsAtOnce; count === eventsAtOnce; ) {
      count = 0
      const wanted = { seq, batch: eventsAtOnce, next_by_subj: filter }
      const messages = await jsm.direct.getBatch("KUBE", wanted)
      try {
        for await (const message of messages) {
          take(message)
          count++
          seq = message.seq + 1
        }
      } catch (cause) {
        if ((cause as { readonly code?: number }).code !== noMessages) throw cause
      }
    }
  }
}
