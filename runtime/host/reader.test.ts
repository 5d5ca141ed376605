import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream"
import { expect, it } from "vitest"
import { Reader } from "./reader.ts"
import { at, raw, Thing } from "./thing.fixture.ts"
import { WorldView } from "./worldView.ts"

/** A message of the bucket, `sequence` being that of its event in the log. */
const kept = (name: string, sequence: number, pending: number, operation = "") => ({
  subject: `$KV.kube.test_example.things.default.${name}`,
  headers: new Map([
    ["Nats-Stream-Source", `KUBE ${sequence} kube.>`],
    ["KV-Operation", operation]
  ]),
  json: () => raw(name, sequence, "red"),
  info: { deliverySequence: sequence, pending }
})

/** What a view holds of a bucket that gives these messages, and from where on the log is followed. */
const read = async (bucket: ReadonlyArray<ReturnType<typeof kept>>) => {
  let followedFrom: number | undefined
  const consumer = (stream: string) => {
    const closed = Promise.withResolvers<void>()
    return {
      info: async () => ({ num_pending: stream === "KV_kube" ? bucket.length : 0 }),
      consume: async () => ({
        stop: () => closed.resolve(),
        closed: () => closed.promise,
        status: async function* () {
          await closed.promise
        },
        [Symbol.asyncIterator]: async function* () {
          yield* bucket
        }
      }),
      delete: async () => true
    }
  }
  const js = {
    consumers: {
      get: async (stream: string, options: { readonly opt_start_seq?: number }) => {
        if (stream === "KUBE") followedFrom = options.opt_start_seq
        return consumer(stream)
      }
    }
  } as unknown as JetStreamClient
  const jsm = {
    streams: { info: async () => ({ created: "now", state: { first_seq: 1, last_seq: 9 } }) },
    direct: { getMessage: async () => ({ data: [1], json: () => ({ created: "now" }) }) }
  } as unknown as JetStreamManager
  const view = new WorldView([Thing])
  const reader = new Reader({ js, jsm, isConnected: () => true, kinds: [Thing], view, say: () => undefined })
  const stop = new AbortController()
  await reader.run(async () => stop.abort(), stop.signal)
  return { view, followedFrom }
}

it("does not hold what was deleted while the bucket was read, as the log is followed from behind that", async () => {
  const { view, followedFrom } = await read([kept("a", 5, 2), kept("b", 6, 1), kept("a", 7, 0, "DEL")])
  expect(followedFrom).toBe(8)
  expect([...view.list(Thing)].map(({ metadata: { name } }) => name)).toEqual(["b"])
})

it("holds what was created again after it had been deleted while the bucket was read", async () => {
  const { view } = await read([kept("a", 5, 2), kept("a", 6, 1, "DEL"), kept("a", 7, 0)])
  expect(view.find(Thing, at("a"))?.metadata.resourceVersion).toBe("7")
})
