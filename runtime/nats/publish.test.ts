import { headers, type Msg } from "@nats-io/transport-node"
import { expect, it } from "vitest"
import { StreamPublisher } from "./publish.ts"

const open = () => {
  let hear: (error: Error | null, message: Partial<Msg>) => void = () => undefined
  const replies: Array<string> = []
  const connection = {
    subscribe: (_subject: string, { callback }: { callback: typeof hear }) => {
      hear = callback
      return { unsubscribe: () => undefined }
    },
    publish: (_subject: string, _body: string, { reply }: { reply: string }) => replies.push(reply)
  }
  const publisher = new StreamPublisher(connection as never, 1_000)
  const answer = (body: string) =>
    hear(null, { subject: replies.at(-1)!, json: () => JSON.parse(body) } as Partial<Msg>)
  return { publisher, hear: (error: Error | null, message: Partial<Msg>) => hear(error, message), answer }
}

it("a publisher lives on when NATS no longer lets it hear answers, or hears one that is none", async () => {
  const { publisher, hear, answer } = open()
  // As the client calls back with a permission error: there is no message.
  expect(() => hear(new Error("permissions violation"), {})).not.toThrow()
  const odd = publisher.publish("kube.a", "", headers())
  await new Promise(setImmediate)
  answer("no json")
  await expect(odd).rejects.toThrow("an answer that is none")
  const good = publisher.publish("kube.a", "", headers())
  await new Promise((resolve) => setTimeout(resolve, 5))
  answer('{"seq": 7}')
  expect(await good).toBe(7)
  publisher.close()
})
