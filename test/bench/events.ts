import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { setTimeout as delay } from "node:timers/promises"
import * as Effect from "effect/Effect"
import { Agent } from "undici"
import { ownNatsServer } from "../../infra/local/index.ts"
import { runBridge } from "../../runtime/bridge/bridge.ts"
import { Nats } from "../../runtime/nats/connection.ts"
import { type Figure, percentile, round } from "./figures.ts"
import { createNamespace, type Rig, root, run, startOurs } from "./rig.ts"

/** The bridge is stopped by a signal, as in a process of its own. */
const newStop = (): AbortController => new AbortController()

const configMap = { group: "", version: "v1", kind: "ConfigMap", plural: "configmaps", namespaced: true }

/** From the API server's answer to a change to the first line of a handler, at a steady rate. */
export const handlerStart = (rig: Rig, perSecond: number, count: number): Effect.Effect<Figure, unknown> =>
  Effect.gen(function* () {
    const marks = join(rig.directory, "marks")
    writeFileSync(marks, "")
    process.env["BENCH_MARKS"] = marks
    const args = ["--from", join(root, "test/bench/functions"), "--only", "mark-on-change"]
    yield* Effect.all([startOurs(rig, "bridge", args), startOurs(rig, "functions", args)], { concurrency: 2 })
    const changed = yield* Effect.promise(async () => {
      await createNamespace(rig, "marks")
      const body = (sample: number) => ({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: `m${sample % 100}`, namespace: "marks" },
        data: { sample: `${sample}` }
      })
      for (let index = 0; index < 100; index++)
        await run(rig.api.create(configMap, "marks", body(index), { manager: "bench" }))
      const answered = new Map<number, bigint>()
      const start = performance.now()
      const pending: Array<Promise<void>> = []
      for (let sample = 100; sample < count + 100; sample++) {
        const due = start + ((sample - 100) * 1000) / perSecond
        if (due > performance.now()) await delay(due - performance.now())
        const ref = { namespace: "marks", name: `m${sample % 100}` }
        pending.push(
          run(
            rig.api.mergePatch(configMap, ref, { data: { sample: `${sample}` } }, { manager: "bench" })
          ).then(() => {
            answered.set(sample, process.hrtime.bigint())
          })
        )
      }
      await Promise.all(pending)
      const deadline = performance.now() + 10_000
      while (!readFileSync(marks, "utf8").includes(`${count + 99} `) && performance.now() < deadline)
        await delay(20)
      return answered
    })
    const millis: Array<number> = []
    for (const line of readFileSync(marks, "utf8").trim().split("\n")) {
      const [sample, at] = line.split(" ")
      const answered = changed.get(Number(sample))
      // The watch may be quicker than the answer.
      if (answered !== undefined) millis.push(Math.max(0, Number(BigInt(at!) - answered) / 1e6))
    }
    const p50 = percentile(millis, 0.5)
    const p99 = percentile(millis, 0.99)
    return {
      what: `change at the API server → handler start, ${perSecond} events/s, ${millis.length} samples`,
      measured: `P50 ${round(p50)} ms, P99 ${round(p99)} ms`,
      atLeast: "P50 < 5 ms, P99 < 20 ms",
      holds: p50 < 5 && p99 < 20 && millis.length > count * 0.95,
      values: { p50, p99, samples: millis.length }
    }
  }).pipe(Effect.scoped)

/** An API server that replays a recorded watch: as fast as the bridge takes it. */
const replay = (objects: number, events: number) => {
  const object = (index: number, version: number) => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: {
      name: `m${index}`,
      namespace: "replay",
      uid: `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`,
      resourceVersion: String(version),
      creationTimestamp: "2026-01-01T00:00:00Z",
      managedFields: [
        {
          manager: "recorder",
          operation: "Update",
          apiVersion: "v1",
          time: "2026-01-01T00:00:00Z",
          fieldsType: "FieldsV1",
          fieldsV1: { "f:data": { ".": {}, "f:text": {} } }
        }
      ]
    },
    data: { text: "x".repeat(800) }
  })
  const lines: Array<string> = []
  for (let index = 0; index < events; index++) {
    lines.push(
      `${JSON.stringify({ type: "MODIFIED", object: object(index % objects, 1_000_000 + index) })}\n`
    )
  }
  return createServer((asked, answer) => {
    answer.writeHead(200, { "content-type": "application/json" })
    if (!asked.url!.includes("watch=true")) {
      answer.end(JSON.stringify({ metadata: { resourceVersion: "1000" }, items: [] }))
      return
    }
    let next = 0
    const pump = () => {
      while (next < lines.length) {
        if (!answer.write(lines[next++])) {
          answer.once("drain", pump)
          return
        }
      }
    }
    pump()
  })
}

/** Watch events that the bridge publishes, acknowledged, per second. */
export const sustained = (events: number): Effect.Effect<Figure, unknown> =>
  Effect.gen(function* () {
    const nats = yield* ownNatsServer({})
    const server = replay(2_000, events)
    yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve)))
    const { port } = server.address() as AddressInfo
    const agent = new Agent()
    const cluster = {
      server: `http://127.0.0.1:${port}`,
      dispatcher: async () => agent,
      headers: async () => ({}),
      refresh: () => undefined,
      close: async () => undefined
    }
    const rate = yield* Effect.gen(function* () {
      const link = yield* Nats
      const stop = newStop()
      const marks: Array<number> = []
      const done = Promise.withResolvers<void>()
      let published = 0
      const running = runBridge(
        {
          cluster,
          ...link,
          kinds: [configMap],
          say: () => undefined,
          published: () => {
            published++
            if (published === 1 || published === events) marks.push(performance.now())
            if (published === events) done.resolve()
          }
        },
        stop.signal
      )
      yield* Effect.promise(() => done.promise)
      stop.abort()
      yield* Effect.promise(() => running)
      return (events * 1000) / (marks[1]! - marks[0]!)
    }).pipe(Effect.provide(Nats.layer({ url: nats.url, name: "bench" })))
    server.closeAllConnections()
    server.close()
    return {
      what: "bridge, sustained changes (a recorded watch stream of 1 KB objects)",
      measured: `${Math.round(rate)}/s`,
      atLeast: "≥ 5,000/s",
      holds: rate >= 5_000,
      values: { rate }
    }
  }).pipe(Effect.scoped)
