import type { JsMsg } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { describe, expect, it } from "vitest"
import { Delivery } from "./delivery.ts"

const reply = "$JS.ACK.KUBE.allocate-on-annotate.1.5.5.1700000000000000000.0"

const connectionIn = (state: { readonly closed?: boolean; readonly draining?: boolean }) => {
  const sent: Array<string> = []
  const connection = {
    isClosed: () => state.closed ?? false,
    isDraining: () => state.draining ?? false,
    publish: (subject: string, word: string) => void sent.push(`${subject} ${word}`)
  } as unknown as NatsConnection
  return { sent, delivery: new Delivery(connection, { reply } as unknown as JsMsg) }
}

describe("a delivery", () => {
  it.each([
    ["done", "+ACK", (delivery: Delivery) => delivery.ack()],
    ["for another host, now", "-NAK", (delivery: Delivery) => delivery.nak()],
    ["still worked on", "+WPI", (delivery: Delivery) => delivery.working()]
  ])("tells the server that it is %s: %s", (_, word, answer) => {
    const { sent, delivery } = connectionIn({})
    answer(delivery)
    expect(sent).toEqual([`${reply} ${word}`])
  })

  it.each([
    ["closed", { closed: true }],
    ["being closed", { draining: true }]
  ])("says nothing over a connection that is %s: the server gives the event to the next host", (_, state) => {
    const { sent, delivery } = connectionIn(state)
    delivery.ack()
    delivery.nak()
    expect(sent).toEqual([])
  })
})
