import {
  type Consumer,
  type ConsumerInfo,
  type ConsumerMessages,
  JetStreamApiError,
  type JetStreamClient
} from "@nats-io/jetstream"

const consumerOffline = 10119
/** Longer than `idle_heartbeat` of those who are watched over. */
const silenceMillis = 2_000

/**
 * What the client does not notice about an ordered consumer.
 *
 * - It lives on one server of a cluster. When that one is lost, the others do not say that the consumer is gone, which the
 *   client would answer with a new one: nobody answers for it, then it is offline, and the client waits as long as its
 *   server is away. Here the messages end, with an error, after some ten seconds.
 * - That the last message has `pending` 0 is not sure where a replica was behind when the consumer was made, and one that
 *   was lost on the way is missed only when another one follows. So when nothing has come for a second (`idle_heartbeat`)
 *   the server is asked: `caughtUp` is called, once, when there is nothing that has not come; if something was lost, the
 *   messages end with an error. `received` is the consumer's sequence of the last message that has come.
 */
export const watchOver = (
  js: JetStreamClient,
  consumer: Consumer,
  messages: ConsumerMessages,
  received: () => number,
  caughtUp: () => void
): void => {
  let isDone = false
  let short: number | undefined
  const look = ({ num_pending, delivered }: ConsumerInfo) => {
    if (num_pending > 0) return
    const last = received()
    if (delivered.consumer_seq <= last) {
      isDone = true
      caughtUp()
    } else if (short === last) messages.stop(new Error("messages of NATS were lost on the way"))
    // It may still come: the answer may have been quicker.
    else short = last
  }
  /** What the server says; the failure otherwise. */
  const asked = () =>
    consumer.info().then(
      (now) => now,
      (cause: unknown) => cause
    )
  const isOffline = (answer: unknown) =>
    answer instanceof JetStreamApiError && answer.code === consumerOffline
  const isSilent = (answer: unknown) => answer instanceof Error && !(answer instanceof JetStreamApiError)
  /** The stream is served, and nobody answers for the consumer: the others have yet to take its server for lost. */
  const isLeftAlone = async () => {
    const { stream_name } = await consumer.info(true)
    const isServed = await js.streams.get(stream_name).then(
      () => true,
      () => false
    )
    if (!isServed) return false
    // Once more: NATS as a whole may have been away before.
    const again = await asked()
    return isOffline(again) || isSilent(again)
  }
  let isAsking = false
  const ask = async () => {
    if (isAsking) return
    isAsking = true
    const answer = await asked()
    if (isOffline(answer) || (isSilent(answer) && (await isLeftAlone())))
      messages.stop(new Error("the NATS server that it was read from is away"))
    else if (!(answer instanceof Error) && !isDone) look(answer as ConsumerInfo)
    isAsking = false
  }
  let hasBeat = true
  let before = received()
  // Looked at here: after a reconnect the client misses heartbeats only once it knows that the consumer is there.
  const timer = setInterval(() => {
    if (!hasBeat && received() === before) void ask()
    hasBeat = false
    before = received()
  }, silenceMillis)
  messages.closed().then(
    () => clearInterval(timer),
    () => clearInterval(timer)
  )
  const watch = async () => {
    for await (const { type } of messages.status()) {
      if (type !== "heartbeat") continue
      hasBeat = true
      if (!isDone) void ask()
    }
  }
  void watch()
}
