import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { setTimeout as delay } from "node:timers/promises"
import type { JetStreamClient, JetStreamManager } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import type { KindId } from "../Kind.ts"
import { refKey, resourceName } from "../Kind.ts"
import type { ClusterAccess } from "../kube/access.ts"
import { dedupeWindowSeconds } from "../nats/configs.ts"
import type { KubeEvent } from "../nats/events.ts"
import { resourceToken } from "../nats/names.ts"
import { StreamPublisher } from "../nats/publish.ts"
import { ensureCommon, ensureLog, type Incarnation, type LogEnd, recreateLog } from "../nats/streams.ts"
import { loadKnown } from "./known.ts"
import { Lease } from "./lease.ts"
import { ClusterWentBack, LogLost, Publisher } from "./publisher.ts"
import { followResource, type ResourceNews } from "./resource.ts"
import { defaultSourceTimes, type SourceTimes } from "./source.ts"
import { Standing } from "./standing.ts"
import { readSynced, writeSynced } from "./synced.ts"

export interface BridgeOptions {
  readonly cluster: ClusterAccess
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly isConnected: () => boolean
  readonly onStatus: (listener: (status: "connected" | "lost") => void) => () => void
  /** The union of what the functions declare. */
  readonly kinds: ReadonlyArray<KindId>
  /** How long the others wait before they take over from a bridge that says nothing. Whole seconds. */
  readonly leaseSeconds?: number
  /** A publish that is repeated within this time is stored once. Whole seconds. */
  readonly dedupeSeconds?: number
  /** On how many NATS servers each stream is kept; without it they are left as they are, and new ones are on one. */
  readonly replicas?: number | undefined
  readonly times?: Partial<SourceTimes>
  readonly say: (news: BridgeNews) => void
  readonly published: (event: KubeEvent) => void
}

export type BridgeNews =
  | ResourceNews
  | { readonly _tag: "Standby" }
  | { readonly _tag: "Active"; readonly incarnation: Incarnation }
  | { readonly _tag: "Synced"; readonly resource: string }
  | { readonly _tag: "SteppedDown"; readonly message: string }

/** How often the log is looked at while nothing is published: a stream that was wiped says nothing by itself. */
const checkMillis = 2_000
const ackTimeoutMillis = 5_000
/** How often it is said that NATS does not take what is published. */
const sayDelayMillis = 10_000

/**
 * Runs until the signal says otherwise: waits to be the active bridge, makes the log, follows every resource; starts
 * over when it was deposed, when the log was lost, or when the cluster went back.
 */
export const runBridge = async (options: BridgeOptions, signal: AbortSignal): Promise<void> => {
  const holder = `${hostname()}/${process.pid}/${randomUUID()}`
  const { js, jsm, leaseSeconds: seconds = 5, dedupeSeconds = dedupeWindowSeconds, replicas } = options
  const lease = new Lease({ js, jsm, holder, seconds, ensureBucket: () => ensureCommon(jsm, replicas) })
  const stream = new StreamPublisher(options.connection, ackTimeoutMillis)
  let last: LogEnd | undefined
  let wentBack = false
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await ensureCommon(jsm, replicas)
      await lease.acquire(signal, () => options.say({ _tag: "Standby" }))
      const incarnation = wentBack
        ? await recreateLog(jsm, dedupeSeconds, replicas)
        : await ensureLog(jsm, last, dedupeSeconds, replicas)
      wentBack = false
      options.say({ _tag: "Active", incarnation })
      attempt = 0
      await activeUntilBroken(options, stream, lease, incarnation, signal, (end) => {
        last = { created: incarnation.created, ...end }
      })
    } catch (cause) {
      if (signal.aborted) break
      wentBack ||= cause instanceof ClusterWentBack
      options.say({ _tag: "SteppedDown", message: cause instanceof Error ? cause.message : String(cause) })
      if (cause instanceof LogLost || cause instanceof ClusterWentBack) continue
      await delay(Math.min(200 * 2 ** attempt, 5_000), undefined, { signal }).catch(() => undefined)
    }
  }
  await lease.release()
  stream.close()
}

const activeUntilBroken = async (
  options: BridgeOptions,
  stream: StreamPublisher,
  lease: Lease,
  incarnation: Incarnation,
  signal: AbortSignal,
  acknowledged: (end: Publisher["last"]) => void
): Promise<void> => {
  const stop = new AbortController()
  const both = AbortSignal.any([signal, stop.signal])
  const broken = Promise.withResolvers<never>()
  broken.promise.catch(() => undefined)
  const standing = new Standing({
    jsm: options.jsm,
    lease,
    isConnected: options.isConnected,
    end: () => ({ created: incarnation.created, ...publisher.last }),
    signal: both,
    broken: broken.reject
  })
  let delaySaidAt = Number.NEGATIVE_INFINITY
  const publisher = new Publisher({
    stream,
    jsm: options.jsm,
    source: options.cluster.server,
    incarnation,
    signal: both,
    mayPublish: () => (standing.isSure ? undefined : standing.confirm()),
    confirm: () => standing.confirm(),
    published: (event) => {
      acknowledged(publisher.last)
      options.published(event)
    },
    unpublishable: ({ kind, ref }, why) => {
      const message = `${refKey(ref)} cannot be published, functions do not hear of it: ${why}`
      options.say({ _tag: "Trouble", resource: resourceName(kind), message })
    },
    delayed: ({ kind, ref }, why) => {
      // One of many that wait for the same.
      if (performance.now() - delaySaidAt < sayDelayMillis) return
      delaySaidAt = performance.now()
      const message = `${refKey(ref)} is not taken by NATS, and is tried on: ${why}`
      options.say({ _tag: "Trouble", resource: resourceName(kind), message })
    }
  })
  acknowledged(publisher.last)
  const off = options.onStatus((status) => {
    standing.lost()
    if (status === "connected") standing.confirm().catch(() => undefined)
    else stream.abandon()
  })
  const timers = [
    setInterval(
      () => {
        if (options.isConnected()) standing.confirm().catch(() => undefined)
      },
      Math.min(checkMillis, (options.leaseSeconds ?? 5) * 300)
    )
  ]
  const resources = options.kinds.map(async (kind) => {
    const known = await loadKnown(options.js, options.jsm, kind, incarnation.lastSequence, both)
    const lastListed = await readSynced(options.jsm, resourceToken(kind), incarnation.created)
    await followResource({
      cluster: options.cluster,
      kind,
      known,
      publisher,
      times: { ...defaultSourceTimes, ...options.times },
      signal: both,
      lastListed: lastListed?.resourceVersion,
      synced: async (resourceVersion) => {
        const sequence = publisher.lastSequence
        const mark = { created: incarnation.created, sequence, resourceVersion }
        for (;;) {
          try {
            await writeSynced(options.js, resourceToken(kind), mark)
            break
          } catch {
            await standing.confirm()
            await delay(100, undefined, { signal: both })
          }
        }
        options.say({ _tag: "Synced", resource: resourceName(kind) })
      },
      say: options.say
    })
  })
  try {
    await Promise.race([broken.promise, ...resources])
  } finally {
    stop.abort()
    off()
    for (const timer of timers) clearInterval(timer)
    await Promise.allSettled(resources)
  }
}
