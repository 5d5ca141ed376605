import { hostname } from "node:os"
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { headers } from "@nats-io/transport-node"
import type * as Context from "effect/Context"
import { type FunctionDefinition, requireDistinctNames, requireOneKindEach } from "../Function.ts"
import { natsPlacing } from "../fleet/place.ts"
import { type FleetNews, FleetReader } from "../fleet/reader.ts"
import type { FleetState } from "../fleet/state.ts"
import { type KindId, type Ref, resourceName } from "../Kind.ts"
import type { KubeApi } from "../kube/api.ts"
import { wakeSubject } from "../nats/names.ts"
import { makeCommon } from "../nats/streams.ts"
import { SpanRecorder } from "../trace/recorder.ts"
import { Acks } from "./acks.ts"
import { kindsOf } from "./kinds.ts"
import { hostMetrics } from "./metrics.ts"
import { Notes } from "./notes.ts"
import { startPulses } from "./pulses.ts"
import { type Hydrated, Reader, type ReaderNews } from "./reader.ts"
import { Worker, type WorkerNews } from "./worker.ts"
import { WorldView } from "./worldView.ts"

export interface HostOptions {
  readonly functions: ReadonlyArray<FunctionDefinition<any>>
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly isConnected: () => boolean
  readonly api: KubeApi
  /** What handlers need beside `Kube`. */
  readonly context: Context.Context<never>
  /** Runs of one function at a time. */
  readonly concurrency?: number
  /** Kubernetes Events per second at most. */
  readonly notesPerSecond?: number
  /** From the loss of a node until nothing of it is left on the network. */
  readonly abandonMillis?: number
  /** So long what runs may take to end when the host ends, or the log's life; then it is interrupted. */
  readonly drainMillis?: number
  readonly say: (news: HostNews) => void
}

export type HostNews = ReaderNews | WorkerNews | FleetNews

/** What a host can be asked while it runs. */
export interface HostState {
  /** The view is whole, and every function receives its events. */
  readonly isReady: () => boolean
  readonly view: WorldView
  /** The fleet as this host sees it; `undefined` when no function does. */
  readonly fleet: FleetState | undefined
  readonly retrying: () => ReadonlyMap<string, number>
}

/**
 * Runs functions until the signal says otherwise; then what runs is finished, and the rest handed back.
 *
 * @throws Misdeclared when two functions have one name, or declare a resource each for itself.
 */
export const runHost = async (
  options: HostOptions,
  signal: AbortSignal,
  started: (state: HostState) => void = () => undefined
): Promise<void> => {
  requireDistinctNames(options.functions)
  requireOneKindEach(options.functions)
  const { js, jsm, say, connection, isConnected } = options
  const kinds = kindsOf(options.functions)
  const view = new WorldView(kinds, (kind, ref, problem) =>
    say({ _tag: "Undecodable", object: `${resourceName(kind)}/${ref.namespace}/${ref.name}`, problem })
  )
  const recorder = new SpanRecorder(connection, isConnected)
  const notesStop = new AbortController()
  const notes = new Notes(options.api, options.notesPerSecond ?? 500, notesStop.signal)
  const reader = new Reader({ js, jsm, isConnected, kinds, view, say })
  const fleet = options.functions.some((fn) => fn.fleet !== "none") ? new FleetReader(options) : undefined
  const placing = fleet && natsPlacing({ connection, js, jsm, reader: fleet })
  const metrics = hostMetrics(options.context)
  const acks = new Acks()
  const workers = options.functions.map(
    (fn) =>
      new Worker({
        fn,
        js,
        jsm,
        reader,
        isConnected,
        metrics,
        concurrency: options.concurrency ?? 32,
        say,
        connection,
        acks,
        ...(options.drainMillis === undefined ? {} : { drainMillis: options.drainMillis }),
        services: {
          api: options.api,
          view,
          note: (kind, object, reporter, note) => notes.add(kind, object, reporter, note),
          wake: (functionName, kind, ref, parent) => publishWake(js, functionName, kind, ref, parent),
          record: (span) => recorder.record(span),
          caused: (uid, version, span) => recorder.caused(uid, version, span),
          causeOf: (uid, version) => recorder.causeOf(uid, version),
          host: hostname(),
          fleet: placing,
          context: options.context
        }
      })
  )
  let isWhole = false
  started({
    isReady: () => isWhole && workers.every(({ isReceiving }) => isReceiving),
    view,
    fleet: fleet?.state,
    retrying: () => new Map(workers.map((worker) => [worker.name, worker.retrying]))
  })
  const stopPulses = startPulses(options)
  await untilDone(
    () => makeCommon(jsm),
    signal,
    (cause) => say({ _tag: "Waiting", message: `NATS does not give us the streams: ${cause}` })
  )
  const fleetStop = new AbortController()
  const fleetRun = fleet?.run(fleetStop.signal)
  try {
    await reader.run(async (hydrated) => {
      const lives = workers.map((worker) =>
        fleet === undefined || !worker.usesFleet
          ? worker.live(hydrated)
          : liveWithFleet(worker, fleet, hydrated)
      )
      isWhole = true
      try {
        await Promise.all(lives)
      } finally {
        isWhole = false
      }
    }, signal)
  } finally {
    stopPulses()
    fleetStop.abort()
    await fleetRun
    await Promise.race([notes.settled(), new Promise((resolve) => setTimeout(resolve, 2_000))])
    notesStop.abort()
    recorder.flush()
  }
}

/** Puts a wake-up into the log: the function's host is given it as it is given events. */
export const publishWake = async (
  js: JetStreamClient,
  functionName: string,
  kind: KindId,
  ref: Ref,
  traceparent: string
): Promise<void> => {
  const h = headers()
  h.set("ce-time", new Date().toISOString())
  h.set("traceparent", traceparent)
  await js.publish(wakeSubject(functionName, kind, ref), "", { headers: h })
}

const untilDone = async (
  run: () => Promise<void>,
  signal: AbortSignal,
  failed: (cause: string) => void
): Promise<void> => {
  while (!signal.aborted) {
    try {
      await run()
      return
    } catch (cause) {
      failed(cause instanceof Error ? cause.message : String(cause))
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/** A function that uses the fleet runs while both are known: the objects and the nodes. */
const liveWithFleet = async (worker: Worker, fleet: FleetReader, hydrated: Hydrated): Promise<void> => {
  while (!hydrated.lost.aborted) {
    await fleet.use(hydrated.lost, (life) =>
      worker.live({ ...hydrated, lost: AbortSignal.any([hydrated.lost, life.lost]) })
    )
  }
}
