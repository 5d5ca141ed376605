import * as Effect from "effect/Effect"
import { IpClaim, Service } from "../../functions/domain/kinds.ts"
import { type Figure, median, percentile, round } from "./figures.ts"
import {
  addressesOf,
  ask,
  bareAllocation,
  bareGrant,
  createNamespace,
  createService,
  inParallel,
  listAll,
  type Rig,
  remove,
  startOurs
} from "./rig.ts"
import { Watcher } from "./watcher.ts"

const concurrency = 32

const createMany = async (rig: Rig, namespace: string, count: number, annotations = {}): Promise<void> => {
  await createNamespace(rig, namespace)
  await inParallel(count, concurrency, (index) => createService(rig, namespace, `s${index}`, annotations))
}

const address = (index: number) => `198.18.${index >> 8}.${index & 255}`

const removeBare = async (rig: Rig, namespace: string, service: string, held: string): Promise<void> => {
  await remove(rig, Service, namespace, service)
  await remove(rig, IpClaim, "", held.replaceAll(".", "-"))
}

/** Services per second of a bare client that makes the same four writes, while nothing of ours runs. */
export const bareRate = async (rig: Rig, count: number, namespace = "bare"): Promise<number> => {
  await createMany(rig, namespace, count)
  const start = performance.now()
  await inParallel(count, concurrency, (index) => bareAllocation(rig, namespace, `s${index}`, address(index)))
  const rate = (count * 1000) / (performance.now() - start)
  await inParallel(count, concurrency, (index) => removeBare(rig, namespace, `s${index}`, address(index)))
  return rate
}

/**
 * Seconds that a bare client takes for what so many freed addresses take: a Service and its claim deleted, another Service
 * given the address. Nothing of ours runs.
 */
export const bareFreed = async (rig: Rig, count: number, namespace = "bare-full"): Promise<number> => {
  await createMany(rig, namespace, 2 * count)
  await inParallel(count, concurrency, (index) => bareAllocation(rig, namespace, `s${index}`, address(index)))
  const waiting = await listAll(rig, Service, namespace).then(
    (all) => new Map(all.map((one) => [one.metadata.name, one]))
  )
  const start = performance.now()
  await inParallel(count, concurrency, async (index) => {
    await removeBare(rig, namespace, `s${index}`, address(index))
    await bareGrant(rig, waiting.get(`s${count + index}`)!, address(index))
  })
  const seconds = (performance.now() - start) / 1000
  await inParallel(count, concurrency, (index) =>
    removeBare(rig, namespace, `s${count + index}`, address(index))
  )
  return seconds
}

/** From the patch that asks to the watch event that shows the address, one Service after the other. */
export const latency = async (
  rig: Rig,
  watcher: Watcher,
  prefix: string,
  runs: number,
  samples: number
): Promise<ReadonlyArray<ReadonlyArray<number>>> => {
  const results: Array<ReadonlyArray<number>> = []
  for (let index = 0; index < runs; index++) {
    const namespace = `${prefix}-${index}`
    await createMany(rig, namespace, samples)
    const millis: Array<number> = []
    for (let sample = 0; sample < samples; sample++) {
      const name = `s${sample}`
      const start = performance.now()
      await ask(rig, namespace, name)
      const key = `${namespace}/${name}`
      await watcher.until(`an address for ${key}`, () => watcher.published.has(key), 20)
      millis.push(watcher.published.get(key)! - start)
    }
    results.push(millis)
  }
  return results
}

/**
 * The same of a bare client that makes the three writes on the way one after the other, without having to be told of any:
 * what the API server alone takes. Nothing of ours runs.
 */
export const bareLatency = async (rig: Rig, samples: number): Promise<ReadonlyArray<number>> => {
  const namespace = "bare-idle"
  await createMany(rig, namespace, samples)
  const watcher = await Watcher.start(rig)
  const millis: Array<number> = []
  for (let sample = 0; sample < samples; sample++) {
    const key = `${namespace}/s${sample}`
    const start = performance.now()
    const granted = bareAllocation(rig, namespace, `s${sample}`, address(sample))
    await watcher.until(`an address for ${key}`, () => watcher.published.has(key), 20)
    millis.push(watcher.published.get(key)! - start)
    await granted
  }
  watcher.stop()
  await inParallel(samples, concurrency, (index) => removeBare(rig, namespace, `s${index}`, address(index)))
  return millis
}

export interface LatencyBase {
  /** Of a bare client, in the same run. */
  readonly bare: ReadonlyArray<number>
  /** Ours with nothing in use, for what is measured with much in use. */
  readonly empty?: ReadonlyArray<ReadonlyArray<number>>
}

export const latencyFigure = (
  what: string,
  runs: ReadonlyArray<ReadonlyArray<number>>,
  { bare, empty }: LatencyBase
): Figure => {
  const p50 = median(runs.map((run) => percentile(run, 0.5)))
  const p99 = median(runs.map((run) => percentile(run, 0.99)))
  const ratio = empty === undefined ? 1 : p50 / median(empty.map((run) => percentile(run, 0.5)))
  const bareP50 = percentile(bare, 0.5)
  const bareP99 = percentile(bare, 0.99)
  const beside = `bare client ${round(bareP50)} / ${round(bareP99)} ms`
  const grown = empty === undefined ? "" : `, P50 ${round(ratio, 2)}×`
  return {
    what,
    measured: `P50 ${round(p50)} ms, P99 ${round(p99)} ms${grown}; ${beside}`,
    atLeast: `P50 < 20 ms, P99 < 60 ms${empty === undefined ? "" : ", P50 ≤ 1.2×"}`,
    holds: p50 < 20 && p99 < 60 && ratio <= 1.2,
    values: { p50, p99, ratio, bareP50, bareP99 }
  }
}

/** All ask at once; Services per second from the first patch to the last address. */
export const fill = async (rig: Rig, watcher: Watcher, namespace: string, count: number): Promise<number> => {
  await createMany(rig, namespace, count)
  const start = performance.now()
  const asked = inParallel(count, concurrency, (index) => ask(rig, namespace, `s${index}`))
  await watcher.until(`${count} addresses in ${namespace}`, () => watcher.count(namespace) === count, 600)
  await asked
  const last = Math.max(
    ...[...watcher.published].filter(([key]) => key.startsWith(`${namespace}/`)).map(([, at]) => at)
  )
  return (count * 1000) / (last - start)
}

/** `bare`: of the bare client, before the fill and, where that was measured, with as many in use after it. */
export const fillFigure = (what: string, rate: number, bare: ReadonlyArray<number>): Figure => {
  const ratio = bare.reduce((sum, one) => sum + one, 0) / bare.length / rate
  const beside = bare.map((one) => `${Math.round(one)}`).join(" and ")
  return {
    what,
    measured: `${Math.round(rate)}/s, bare client ${beside}/s (${round(ratio, 2)}×)`,
    atLeast: "within 2× of the bare client, ≥ 180/s",
    holds: rate >= 180 && ratio <= 2,
    values: { rate, bare: bare[0]!, bareAfter: bare[1] ?? Number.NaN, ratio }
  }
}

/** Services that ask while nothing of ours runs; then it starts. */
export const waitingAtStart = (rig: Rig, namespace: string, count: number) =>
  Effect.gen(function* () {
    yield* Effect.promise(() => createMany(rig, namespace, count, { "external-ip": "auto" }))
    const watcher = yield* Effect.promise(() => Watcher.start(rig))
    const start = performance.now()
    yield* Effect.all([startOurs(rig, "bridge"), startOurs(rig, "functions")], { concurrency: 2 })
    yield* Effect.promise(() =>
      watcher.until(`${count} addresses in ${namespace}`, () => watcher.count(namespace) === count, 600)
    )
    const times = [...watcher.published]
      .filter(([key]) => key.startsWith(`${namespace}/`))
      .map(([, at]) => at)
    watcher.stop()
    const first = Math.min(...times)
    const last = Math.max(...times)
    return { rate: (count * 1000) / (last - first), untilFirst: first - start, untilLast: last - start }
  }).pipe(Effect.scoped)

/** A full pool with Services that wait; some addresses are freed, and as many Services served. */
export const freed = async (
  rig: Rig,
  watcher: Watcher,
  namespace: string,
  count: number
): Promise<number> => {
  const holders = (await listAll(rig, Service, namespace)).filter((object) => addressesOf(object).length > 0)
  const victims = holders.slice(0, count)
  const seen = new Set(watcher.published.keys())
  const start = performance.now()
  const gone = inParallel(victims.length, concurrency, (index) =>
    remove(rig, Service, namespace, victims[index]!.metadata.name)
  )
  const served = () =>
    [...watcher.published.keys()].filter((key) => key.startsWith(`${namespace}/`) && !seen.has(key))
  await watcher.until(`${count} waiting Services to be served`, () => served().length === count, 120)
  await gone
  const last = Math.max(...served().map((key) => watcher.published.get(key)!))
  return (last - start) / 1000
}

export { createMany }
