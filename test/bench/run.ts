import { writeFileSync } from "node:fs"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import { Service } from "../../functions/domain/kinds.ts"
import { ownControlPlane } from "../../infra/local/index.ts"
import { Nats, natsCall } from "../../runtime/nats/connection.ts"
import { readIncarnation } from "../../runtime/nats/streams.ts"
import {
  bareFreed,
  bareLatency,
  bareRate,
  createMany,
  fill,
  fillFigure,
  freed,
  latency,
  latencyFigure,
  waitingAtStart
} from "./allocation.ts"
import { handlerStart, sustained } from "./events.ts"
import { circumstances, type Figure, median, printTable, round } from "./figures.ts"
import { ledgerFigure } from "./ledger.ts"
import { wireFigures } from "./nodes.ts"
import { ask, createPool, createService, listAll, makeRig, type Rig, startOurs } from "./rig.ts"
import { Watcher } from "./watcher.ts"

// `BENCH_SCALE=0.1 npm run bench` for a quick look; the figures of README are made with 1.
const scale = Number(process.env["BENCH_SCALE"] ?? 1)
const few = Math.round(1_000 * scale)
const many = Math.round(10_000 * scale)
const waiting = Math.round(5_000 * scale)
const samples = Math.max(20, Math.round(200 * scale))

const figures: Array<Figure> = []
const addNow = (figure: Figure): void => {
  figures.push(figure)
  console.log(`${figure.holds ? "✓" : "✗"} ${figure.what}: ${figure.measured} (${figure.atLeast})`)
}
const add = (figure: Figure) => Effect.sync(() => addNow(figure))

const logSequence = (rig: Rig) =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const log = yield* natsCall("read KUBE", () => readIncarnation(nats.jsm))
    return log?.lastSequence ?? 0
  }).pipe(Effect.provide(Nats.layer({ url: rig.nats.url, name: "bench" })))

/** What runs while everything of ours is up, in one life of it. */
const whileUp = (rig: Rig, bare: number, bareIdle: ReadonlyArray<number>) =>
  Effect.gen(function* () {
    const [bridge, host] = yield* Effect.all([startOurs(rig, "bridge"), startOurs(rig, "functions")], {
      concurrency: 2
    })
    const watcher = yield* Effect.promise(() => Watcher.start(rig))
    const empty = yield* Effect.promise(() => latency(rig, watcher, "idle", 3, samples))
    yield* add(latencyFigure(`annotate → published, idle, 3 runs of ${samples}`, empty, { bare: bareIdle }))
    const small = yield* Effect.promise(() => fill(rig, watcher, "small", few))
    yield* add(fillFigure(`${few} existing Services ask at once`, small, [bare]))
    const large = yield* Effect.promise(() => fill(rig, watcher, "large", many))
    const used = yield* Effect.promise(() => latency(rig, watcher, "used", 3, samples))
    yield* add(latencyFigure(`the same with ${many} in use`, used, { bare: bareIdle, empty }))
    const [bridgeMegabytes, hostMegabytes] = [bridge.residentMegabytes(), host.residentMegabytes()]
    yield* add({
      what: `memory at ${many} Services and claims`,
      measured: `bridge ${bridgeMegabytes} MB, function host ${hostMegabytes} MB`,
      atLeast: "bridge < 200 MB, function host < 300 MB",
      holds: bridgeMegabytes < 200 && hostMegabytes < 300,
      values: { bridgeMegabytes, hostMegabytes }
    })
    watcher.stop()
    return large
  }).pipe(Effect.scoped)

/** Bridge and function host, started side by side where nothing is yet; and once more, when their streams are there. */
const startOnEmpty = (rig: Rig) =>
  Effect.gen(function* () {
    const seconds: Array<number> = []
    for (let run = 0; run < 6; run++) {
      const start = performance.now()
      const both = Effect.all([startOurs(rig, "bridge"), startOurs(rig, "functions")], { concurrency: 2 })
      yield* Effect.scoped(
        Effect.andThen(
          both,
          Effect.sync(() => seconds.push((performance.now() - start) / 1000))
        )
      )
    }
    const [first = Number.NaN, ...again] = seconds
    yield* add({
      what: "bridge and function host, start → ready, nothing in the cluster: first time / median of 5 later ones",
      measured: `${round(first, 2)} s / ${round(median(again), 2)} s`,
      atLeast: "< 2 s",
      holds: first < 2 && median(again) < 2,
      values: { first, again: median(again) }
    })
  })

/** Everything of ours ends and starts again; then one new Service asks. */
const restarted = (rig: Rig) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => createMany(rig, "after", 1))
    const before = new Map(
      (yield* Effect.promise(() => listAll(rig, Service))).map((one) => [one.metadata.uid, one])
    )
    const sequence = yield* logSequence(rig)
    const watcher = yield* Effect.promise(() => Watcher.start(rig))
    const start = performance.now()
    const bridge = startOurs(rig, "bridge").pipe(
      Effect.map((ours) => ({ ours, at: performance.now() - start }))
    )
    const started = yield* Effect.all(
      [bridge, startOurs(rig, "functions"), Effect.promise(() => ask(rig, "after", "s0"))],
      {
        concurrency: 3
      }
    )
    yield* Effect.promise(() =>
      watcher.until("the new Service's address", () => watcher.count("after") === 1, 60)
    )
    const seconds = (watcher.published.get("after/s0")! - start) / 1000
    const after = yield* Effect.promise(() => listAll(rig, Service))
    const touched = after.filter(
      (one) =>
        one.metadata.namespace !== "after" &&
        before.get(one.metadata.uid)?.metadata.resourceVersion !== one.metadata.resourceVersion
    ).length
    watcher.stop()
    yield* add({
      what: `${many} in use, everything of ours restarted → a new Service served`,
      measured: `${round(seconds, 2)} s, ${touched} other objects written`,
      atLeast: "< 4 s, no write to any other object",
      holds: seconds < 4 && touched === 0,
      values: { seconds, touched, bridgeReadySeconds: started[0].at / 1000, sequence }
    })
  }).pipe(Effect.scoped)

const coldBridge = (rig: Rig) =>
  Effect.gen(function* () {
    const before = yield* logSequence(rig)
    const start = performance.now()
    yield* startOurs(rig, "bridge")
    const seconds = (performance.now() - start) / 1000
    const messages = (yield* logSequence(rig)) - before
    yield* add({
      what: `bridge, cold start over ${2 * many} unchanged objects`,
      measured: `${messages} messages, ${round(seconds, 2)} s`,
      atLeast: "0 messages, < 5 s",
      holds: messages === 0 && seconds < 5,
      values: { messages, seconds }
    })
  }).pipe(Effect.scoped)

const exhausted = (rig: Rig) =>
  Effect.gen(function* () {
    const bare = yield* Effect.promise(() => bareFreed(rig, 400))
    yield* Effect.all([startOurs(rig, "bridge"), startOurs(rig, "functions")], { concurrency: 2 })
    const watcher = yield* Effect.promise(() => Watcher.start(rig))
    yield* Effect.promise(async () => {
      await createPool(rig, "tight", {
        cidr: "198.19.0.0/23",
        ranges: [["198.19.0.1", "198.19.1.244"]],
        namespaces: ["tight"]
      })
      await createMany(rig, "tight", 500, { "external-ip": "auto" })
      await watcher.until("a full pool", () => watcher.count("tight") === 500, 120)
      for (let index = 0; index < 500; index++) {
        await createService(rig, "tight", `w${index}`, { "external-ip": "auto" })
      }
    })
    const one = yield* Effect.promise(() => freed(rig, watcher, "tight", 1))
    const most = yield* Effect.promise(() => freed(rig, watcher, "tight", 400))
    watcher.stop()
    yield* add({
      what: "full pool, 500 wait, 1 address freed / 400 freed → served",
      measured: `${round(one, 3)} s / ${round(most, 2)} s, bare client ${round(bare, 2)} s (${round(most / bare, 2)}×)`,
      atLeast: "< 0.1 s / < 2.5 s",
      holds: one < 0.1 && most < 2.5,
      values: { one, most, bare }
    })
  }).pipe(Effect.scoped)

/** On a control plane of its own: what was made before would only be in the way. */
const onTheWire = Effect.gen(function* () {
  const say = (line: string) => console.log(line)
  const plane = yield* ownControlPlane({ say })
  yield* Effect.promise(() => wireFigures(plane, scale, addNow))
  return plane.version
}).pipe(Effect.scoped)

const report = (version: string) =>
  Effect.gen(function* () {
    const about = circumstances(version)
    yield* Console.log(`\n${about}, scale ${scale}`)
    yield* Effect.sync(() => printTable(figures))
    const json = JSON.stringify({ about, scale, figures }, undefined, 2)
    const path = process.env["BENCH_JSON"]
    if (path !== undefined) yield* Effect.sync(() => writeFileSync(path, json))
    else yield* Console.log(`\n${json}`)
  })

const onTheCluster = Effect.gen(function* () {
  yield* Effect.promise(async () => figures.push(ledgerFigure()))
  yield* Console.log(`${figures[0]!.holds ? "✓" : "✗"} ${figures[0]!.what}: ${figures[0]!.measured}`)
  yield* add(yield* sustained(Math.round(30_000 * Math.max(scale, 0.3))))
  const rig = yield* makeRig((line) => console.log(line))
  yield* startOnEmpty(rig)
  const bareIdle = yield* Effect.promise(() => bareLatency(rig, samples))
  const bare = yield* Effect.promise(() => bareRate(rig, few))
  yield* Effect.promise(() =>
    createPool(rig, "bench", {
      cidr: "192.168.0.0/16",
      namespaces: [
        "small",
        "large",
        "after",
        "early",
        ...[0, 1, 2].flatMap((run) => [`idle-${run}`, `used-${run}`])
      ]
    })
  )
  yield* exhausted(rig)
  const large = yield* whileUp(rig, bare, bareIdle)
  // What the API server makes of the same writes with as many objects, and minutes later, is another figure.
  const bareAfter = yield* Effect.promise(() => bareRate(rig, few, "bare-after"))
  yield* add(fillFigure(`${many} existing Services ask at once`, large, [bare, bareAfter]))
  yield* restarted(rig)
  yield* coldBridge(rig)
  const early = yield* waitingAtStart(rig, "early", waiting)
  yield* add({
    what: `${waiting} already waiting when the processes start`,
    measured: `${Math.round(early.rate)}/s; first after ${round(early.untilFirst / 1000)} s, last after ${round(early.untilLast / 1000)} s`,
    atLeast: "the same rate, ≥ 180/s",
    holds: early.rate >= 180,
    values: early
  })
  yield* add(yield* handlerStart(rig, 100, Math.max(500, Math.round(2_000 * scale))))
  return rig.plane.version
}).pipe(Effect.scoped)

// `BENCH_ONLY=cluster` or `BENCH_ONLY=wire` for one half of it.
const only = process.env["BENCH_ONLY"]
const main = Effect.gen(function* () {
  const cluster = only === "wire" ? undefined : yield* onTheCluster
  const wire = only === "cluster" ? undefined : yield* onTheWire
  yield* report(wire ?? cluster ?? "")
})

NodeRuntime.runMain(main)
