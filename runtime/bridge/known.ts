import type { JetStreamClient, JetStreamManager, StoredMsg } from "@nats-io/jetstream"
import type { MsgHdrs } from "@nats-io/transport-node"
import type { KindId } from "../Kind.ts"
import { objectToken, parseSubject, resourceSubjects, resourceToken } from "../nats/names.ts"
import { readAll } from "../nats/readAll.ts"
import { readLog } from "../nats/readLog.ts"
import { originSequence, sourcedUpTo } from "../nats/streams.ts"

/** The newest state of an object that is in the log: which object, which version, and where in the log. */
export interface Known {
  readonly uid: string
  readonly resourceVersion: string
  readonly sequence: number
  readonly ref: { readonly namespace: string; readonly name: string }
  /** Its `managedFields`, a number each (`fieldPrints`); only of states that this bridge has published itself. */
  readonly fields?: ReadonlyArray<number>
  /** The log's last word is that it is gone; kept only where that was found out by a refused publish. */
  readonly deleted?: boolean
}

/** Object key (`<group>.<resource>.<namespace>.<name>`) → what the log knows of it; deleted objects are absent. */
export type KnownStates = Map<string, Known>

/**
 * Reads what the log holds: the bucket `kube`, and those events of `KUBE` that the bucket has not taken over yet.
 * Headers only, so that 10,000 objects are a few megabytes.
 */
export const loadKnown = async (
  js: JetStreamClient,
  jsm: JetStreamManager,
  kind: KindId,
  lastSequence: number,
  signal: AbortSignal
): Promise<KnownStates> => {
  const states: KnownStates = new Map()
  // Asked before the bucket is read: what it had taken over by then is not looked for in the log, which is long.
  let upTo = await sourcedUpTo(jsm)
  const take = (headers: MsgHdrs | undefined, ref: Known["ref"], sequence: number, deleted: boolean) => {
    upTo = Math.max(upTo, sequence)
    const key = objectToken(kind, ref)
    if (deleted) states.delete(key)
    else {
      const header = (name: string) => headers?.get(name) ?? ""
      states.set(key, { uid: header("ce-uid"), resourceVersion: header("ce-resourceversion"), sequence, ref })
    }
  }
  const prefix = "$KV.kube."
  const bucket = {
    stream: "KV_kube",
    filters: [`${prefix}${resourceToken(kind)}.>`],
    lastPerSubject: true,
    headersOnly: true,
    signal
  }
  await readAll(js, bucket, (message) => {
    const parsed = parseSubject(`kube.${message.subject.slice(prefix.length)}.added`)
    if (parsed === undefined) return
    const deleted = (message.headers?.get("KV-Operation") ?? "") !== ""
    take(
      message.headers,
      parsed.ref,
      originSequence(message.headers?.get("Nats-Stream-Source") ?? ""),
      deleted
    )
  })
  if (upTo < lastSequence) {
    const filters = [resourceSubjects(kind)]
    const rest = (message: StoredMsg) => {
      const parsed = parseSubject(message.subject)
      if (parsed !== undefined) take(message.header, parsed.ref, message.seq, parsed.verb === "deleted")
    }
    await readLog(jsm, filters, rest, upTo + 1)
    signal.throwIfAborted()
  }
  return states
}
