import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { expect, it, vi } from "vitest"
import { defineFunction } from "../Function.ts"
import { Unavailable } from "../KubeFailure.ts"
import { Acks } from "./acks.ts"
import { subjectsOf } from "./consumer.ts"
import { hostMetrics } from "./metrics.ts"
import { bench, needs } from "./run.fixture.ts"
import { Thing } from "./thing.fixture.ts"
import { Worker } from "./worker.ts"

it("does what a change of a spec asks for, though the log was read anew before that was done", async () => {
  const { services, view } = await bench()
  let isAway = true
  let done = 0
  const fn = defineFunction({
    name: "judge-on-change",
    on: [Thing.specChanged],
    needs,
    handle: () =>
      Effect.suspend(() => {
        if (isAway) return Effect.fail(new Unavailable({ operation: "", detail: "" }))
        done++
        return Effect.void
      })
  })
  const { uid } = [...view.list(Thing)][0]!.metadata
  const headers = new Map([
    ["ce-uid", [uid]],
    ["ce-generation", ["2"]]
  ]) as any
  const get = headers.get.bind(headers)
  const message = {
    subject: "kube.test_example.things.default.a.modified",
    seq: 7,
    reply: "reply",
    headers: { get: (name: string) => get(name)?.[0] ?? "", [Symbol.iterator]: () => headers.entries() }
  }
  const answers: Array<string> = []
  let deliver: (message: any) => void = () => undefined
  const consumer = {
    config: {
      metadata: { "extip.ipcontroller.ext/log-created": "now", "extip.ipcontroller.ext/woken": "6" },
      filter_subjects: subjectsOf(fn)
    },
    delivered: { stream_seq: 6 },
    num_pending: 1
  }
  const jsm = {
    streams: { info: async () => ({ created: "now", state: { first_seq: 1, last_seq: 7 } }) },
    consumers: { info: async () => consumer }
  }
  const js = {
    consumers: {
      get: async () => ({
        consume: async ({ callback }: any) => {
          deliver = callback
          return { closed: () => new Promise(() => undefined), stop: () => undefined }
        }
      })
    }
  }
  const worker = new Worker({
    fn,
    js: js as never,
    jsm: jsm as never,
    reader: { reached: () => undefined },
    isConnected: () => true,
    services,
    metrics: hostMetrics(Context.empty() as Context.Context<never>),
    concurrency: 1,
    say: () => undefined,
    connection: {
      isClosed: () => false,
      isDraining: () => false,
      publish: (_: string, word: string) => answers.push(word)
    } as never,
    acks: new Acks()
  })
  const live = () => {
    const lost = new AbortController()
    const hydrated = { created: "now", sequence: 6, newest: new Map(), wentBack: false, lost: lost.signal }
    return { lost, ended: worker.live(hydrated as never) }
  }
  // The API server is away: it is tried again and again.
  const first = live()
  await vi.waitFor(() => expect(worker.isReceiving).toBe(true))
  deliver(message)
  await vi.waitFor(() => expect(worker.retrying).toBe(1))
  // One of three NATS servers is lost, and with it the reader's consumer: the log is read anew, by the same process.
  first.lost.abort()
  await first.ended
  expect(answers).toEqual(["-NAK"])
  isAway = false
  const second = live()
  await vi.waitFor(() => expect(worker.isReceiving).toBe(true))
  // It was not acknowledged, so the server gives it to us again.
  deliver(message)
  await vi.waitFor(() => expect(answers).toContain("+ACK"))
  second.lost.abort()
  await second.ended
  expect(done).toBe(1)
})
