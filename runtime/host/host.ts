import { hostname } from "node:os"
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import { headers } from "@nats-io/transport-node"
import type * as Context from "effect/Context"
import { type FunctionDefinition, requireDistinctNames } from "../Function.ts"
import { type KindId, type Ref, resourceName } from "../Kind.ts"
import type { KubeApi } from "../kube/api.ts"
import { tickSubject, wakeSubject } from "../nats/names.ts"
import { ensureCommon } from "../nats/streams.ts"
import { SpanRecorder } from "../trace/recorder.ts"
import { kindsOf } from "./kinds.ts"
import { hostMetrics } from "./metrics.ts"
import { Notes } from "./notes.ts"
import { Reader, type ReaderNews } from "./reader.ts"
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
  readonly say: (news: HostNews) => void
}

export type HostNews =
  | ReaderNews
  | WorkerNews
  | { readonly _tag: "Undecodable"; readonly object: string; readonly problem: string }

/** What a host can be asked while it runs. */
export interface HostState {
  /** The view is whole, and every function receives its events. */
  readonly isReady: () => boolean
  readonly view: WorldView
  readonly retrying: () => ReadonlyMap<string, number>
}

/**
 * Runs functions until the signal says otherwise; then what runs is finished, and the rest handed back.
 *
 * @throws Misdeclared when two functions have one name.
 */
export const runHost = async (
  options: HostOptions,
  signal: AbortSignal,
  started: (state: HostState) => void = () => undefined
): Promise<void> => {
  requireDistinctNames(options.functions)
  const { js, jsm, say, connection, isConnected } = options
  const kinds = kindsOf(options.functions)
  const view = new WorldView(kinds, (kind, ref, problem) =>
    say({ _tag: "Undecodable", object: `${resourceName(kind)}/${ref.namespace}/${ref.name}`, problem })
  )
  const recorder = new SpanRecorder(connection, isConnected)
  const notesStop = new AbortController()
  const notes = new Notes(options.api, options.notesPerSecond ?? 500, notesStop.signal)
  const reader = new Reader({ js, jsm, isConnected, kinds, view, say })
  const metrics = hostMetrics(options.context)
  const workers = options.functions.map(
    (fn) =>
      new Worker({
        fn,
        js,
        jsm,
        reader,
        metrics,
        concurrency: options.concurrency ?? 32,
        say,
        services: {
          api: options.api,
          view,
          note: (kind, object, reporter, note) => notes.add(kind, object, reporter, note),
          wake: (functionName, kind, ref, parent) => publishWake(js, functionName, kind, ref, parent),
          record: (span) => recorder.record(span),
          caused: (uid, version, span) => recorder.caused(uid, version, span),
          causeOf: (uid, version) => recorder.causeOf(uid, version),
          host: hostname(),
          context: options.context
        }
      })
  )
  let ready = false
  started({
    isReady: () => ready,
    view,
    retrying: () => new Map(workers.map((worker) => [worker.name, worker.retrying]))
  })
  const stopTicks = startTicks(options)
  await untilConnected(() => ensureCommon(jsm), signal)
  try {
    await reader.run(async (hydrated) => {
      const lives = workers.map((worker) => worker.live(hydrated))
      ready = true
      try {
        await Promise.all(lives)
      } finally {
        ready = false
      }
    }, signal)
  } finally {
    stopTicks()
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

const untilConnected = async (run: () => Promise<void>, signal: AbortSignal): Promise<void> => {
  while (!signal.aborted) {
    try {
      await run()
      return
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/**
 * Publishes the ticks of timers, at the beginning of every interval. Every host does so, at the same moment and under
 * an id made of the function and the interval's number: the server stores the first, and the function's pinned host is
 * given it.
 */
const startTicks = ({ functions, js, say }: HostOptions): (() => void) => {
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  for (const fn of functions) {
    for (const { source } of fn.on) {
      if (source._tag !== "Timer") continue
      const { everyMillis } = source
      const publish = (slot: number) => {
        const h = headers()
        h.set("extip-at", String(slot * everyMillis))
        js.publish(tickSubject(fn.name), "", { msgID: `${fn.name}.${slot}`, headers: h }).catch(
          (cause: unknown) => say({ _tag: "Trouble", function: fn.name, message: `tick: ${String(cause)}` })
        )
      }
      const key = `${fn.name} ${everyMillis}`
      const schedule = (after: number): void => {
        // A timer may be early by a millisecond, and late by any time: no interval is named twice.
        const slot = Math.max(after, Math.floor(Date.now() / everyMillis)) + 1
        const wait = slot * everyMillis - Date.now()
        timers.set(
          key,
          setTimeout(() => {
            publish(slot)
            schedule(slot)
          }, wait)
        )
      }
      schedule(0)
    }
  }
  return () => {
    for (const timer of timers.values()) clearTimeout(timer)
  }
}
