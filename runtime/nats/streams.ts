import { JetStreamApiError, type JetStreamManager, type StreamConfig } from "@nats-io/jetstream"
import {
  assignments,
  bridge,
  type Config,
  log,
  nodes,
  parked,
  reports,
  sourceCreatedKey,
  spans,
  world
} from "./configs.ts"

/** One life of the event log. A log that was wiped, or restored from an older copy, is another one. */
export interface Incarnation {
  /** When the stream was made, as the server says it: the name of this life. */
  readonly created: string
  readonly firstSequence: number
  readonly lastSequence: number
}

const isCode = (cause: unknown, code: number): boolean =>
  cause instanceof JetStreamApiError && cause.code === code

const streamNameInUse = 10058
const streamNotFound = 10059

/** On how many servers a stream is kept; without it: as it is, a new one on one. */
type Replicas = number | undefined

/** Makes the stream; false when there is one of that name, which is left as it is. */
const make = async (jsm: JetStreamManager, config: Config): Promise<boolean> => {
  try {
    await jsm.streams.add(config as StreamConfig)
    return true
  } catch (cause) {
    if (isCode(cause, streamNameInUse)) return false
    throw cause
  }
}

const ensure = async (jsm: JetStreamManager, wanted: Config, replicas?: Replicas): Promise<void> => {
  const config = replicas === undefined ? wanted : { ...wanted, num_replicas: replicas }
  if (!(await make(jsm, config))) await jsm.streams.update(config.name, config)
}

const dropStream = async (jsm: JetStreamManager, name: string): Promise<void> => {
  try {
    await jsm.streams.delete(name)
  } catch (cause) {
    if (!isCode(cause, streamNotFound)) throw cause
  }
}

/** The log as it is now; `undefined` when there is none. */
export const readIncarnation = async (jsm: JetStreamManager): Promise<Incarnation | undefined> => {
  try {
    const info = await jsm.streams.info("KUBE")
    return { created: info.created, firstSequence: info.state.first_seq, lastSequence: info.state.last_seq }
  } catch (cause) {
    if (isCode(cause, streamNotFound)) return undefined
    throw cause
  }
}

/** The highest sequence of `KUBE` that the bucket has taken over; 0 when it is empty. */
export const sourcedUpTo = async (jsm: JetStreamManager): Promise<number> => {
  const info = await jsm.streams.info("KV_kube")
  if (info.state.messages === 0) return 0
  const last = await jsm.direct.getMessage("KV_kube", { seq: info.state.last_seq }).catch(() => null)
  return last === null ? 0 : originSequence(last.header.get("Nats-Stream-Source"))
}

/** The sequence that a sourced message had in its origin: `Nats-Stream-Source: KUBE 42 > …`, or `KUBE:hash 42 …`. */
export const originSequence = (header: string): number => Number(header.split(" ")[1] ?? 0)

/** The end of the log as a process last knew it. */
export interface LogEnd {
  readonly created: string
  readonly sequence: number
  /** `Nats-Msg-Id` of the message there, where it is one of ours. */
  readonly id: string | undefined
}

/** What has become of a log that we knew; `undefined` when it is the same one, and has not gone back in time. */
export const lossOf = async (jsm: JetStreamManager, known: LogEnd): Promise<string | undefined> => {
  const now = await readIncarnation(jsm)
  if (now === undefined) return "the stream KUBE is gone"
  if (now.created !== known.created) return "the stream KUBE is another one"
  if (now.lastSequence < known.sequence) return "the stream KUBE went back in time"
  if (known.id === undefined) return undefined
  // Others publish to the log as well: a restored copy may have grown past the end that we knew.
  const last = await jsm.direct.getMessage("KUBE", { seq: known.sequence })
  return last === null || last.seq !== known.sequence || last.header.get("Nats-Msg-Id") === known.id
    ? undefined
    : "the stream KUBE went back in time and has grown since"
}

/** Which of the buckets that the bridge answers for is not there. */
export const missingBucket = async (jsm: JetStreamManager): Promise<string | undefined> => {
  for (const bucket of ["kube", "bridge"]) {
    try {
      await jsm.streams.info(`KV_${bucket}`)
    } catch (cause) {
      if (isCode(cause, streamNotFound)) return bucket
      throw cause
    }
  }
  return undefined
}

/**
 * Makes the event log and the bucket that follows it, and a new pair when the bucket is ahead of the log or belongs
 * to another one, or when the log is not what this process knew: then it went back in time. Called by the bridge
 * alone, before it publishes.
 */
export const ensureLog = async (
  jsm: JetStreamManager,
  known: LogEnd | undefined,
  windowSeconds: number,
  replicas?: Replicas
): Promise<Incarnation> => {
  let found = await readIncarnation(jsm)
  if (found !== undefined) {
    await ensure(jsm, log(windowSeconds), replicas)
    const bucketSource = await jsm.streams.info("KV_kube").then(
      (info) => info.config.metadata?.[sourceCreatedKey],
      (cause) => {
        if (isCode(cause, streamNotFound)) return undefined
        throw cause
      }
    )
    if (bucketSource !== undefined && bucketSource !== found.created) {
      await dropStream(jsm, "KV_kube")
    } else if (
      (found.created === known?.created && (await lossOf(jsm, known)) !== undefined) ||
      (bucketSource !== undefined && (await sourcedUpTo(jsm)) > found.lastSequence)
    ) {
      found = undefined
    }
  }
  if (found === undefined) return await recreateLog(jsm, windowSeconds, replicas)
  await ensure(jsm, world(found.created), replicas)
  return found
}

/** Starts a new life of the log: everything is published again, and every reader hydrates again. */
export const recreateLog = async (
  jsm: JetStreamManager,
  windowSeconds: number,
  replicas?: Replicas
): Promise<Incarnation> => {
  await dropStream(jsm, "KV_kube")
  await dropStream(jsm, "KUBE")
  await ensure(jsm, log(windowSeconds), replicas)
  const made = await readIncarnation(jsm)
  if (made === undefined) throw new Error("the stream KUBE vanished right after it was made")
  await ensure(jsm, world(made.created), replicas)
  return made
}

const ofFleet = [nodes, assignments, reports]

/** What does not depend on the log's life. */
const common = [bridge, spans, parked, ...ofFleet]

/** Makes what the fleet is told by, where it is not there. The nodes wait for it. */
export const makeFleet = async (jsm: JetStreamManager): Promise<void> => {
  for (const config of ofFleet) await make(jsm, config)
}

/** A life of any stream: when it was made, as the server says it, and how far it has come. */
export interface StreamLife {
  readonly created: string
  readonly lastSequence: number
}

/** The stream as it is now; `undefined` when there is none. */
export const readLife = async (jsm: JetStreamManager, stream: string): Promise<StreamLife | undefined> => {
  try {
    const { created, state } = await jsm.streams.info(stream)
    return { created, lastSequence: state.last_seq }
  } catch (cause) {
    if (isCode(cause, streamNotFound)) return undefined
    throw cause
  }
}

/**
 * Makes what does not depend on the log's life, where it is not there: for every host at its start, which need not wait
 * for the bridge. It changes nothing that is there: an update says all of a stream, and would undo the bridge's of the
 * same moment.
 */
export const makeCommon = async (jsm: JetStreamManager): Promise<void> => {
  for (const config of common) await make(jsm, config)
}

/**
 * The same for the bridge, which alone says how it is to be: it calls this in each life of the log, so that what a host
 * has made in a hurry, or an older version, is put right.
 */
export const ensureCommon = async (jsm: JetStreamManager, replicas?: Replicas): Promise<void> => {
  for (const config of common) await ensure(jsm, config, replicas)
}
