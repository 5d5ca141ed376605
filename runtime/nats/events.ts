import { headers, type MsgHdrs } from "@nats-io/transport-node"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import type { Verb } from "../Trigger.ts"
import { logMaxAgeSeconds } from "./configs.ts"

/** Who changed an object, and when, as its `managedFields` tell. Times are RFC 3339, to the second. */
export interface ChangedBy {
  readonly manager: string
  readonly operation: string
  readonly at: string
}

type FieldsEntry = NonNullable<RawObject["metadata"]["managedFields"]>[number]

/** FNV-1a, 32 bits: it only has to differ from the same entry's former self. */
const printOf = (text: string, basis = 0x811c9dc5): number => {
  let hash = basis
  for (let index = 0; index < text.length; index++) {
    hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193)
  }
  return hash
}

/** Of who it is and since when, without the fields. */
const identityPrint = (entry: FieldsEntry): number => {
  const { manager = "", operation = "", subresource = "", apiVersion = "", time = "" } = entry
  return printOf(`${manager} ${operation} ${subresource} ${apiVersion} ${time}`)
}

/** Two numbers for each entry of `managedFields`, of its identity with its time and of the whole entry. */
export const fieldPrints = (object: RawObject): ReadonlyArray<number> =>
  (object.metadata.managedFields ?? []).flatMap((entry) => {
    const identity = identityPrint(entry)
    return [identity, printOf(JSON.stringify(entry), identity)]
  })

const newestOf = (entries: ReadonlyArray<FieldsEntry>): ChangedBy | undefined => {
  let newest: ChangedBy | undefined
  for (const entry of entries) {
    if (entry.time !== undefined && (newest === undefined || entry.time >= newest.at)) {
      newest = { manager: entry.manager ?? "unknown", operation: entry.operation ?? "Update", at: entry.time }
    }
  }
  return newest
}

/** An entry's time is to the second, and the change takes its while to get here. */
const justNowMillis = 2_000

/**
 * Whose entry is new since the state `before` (its prints); the newest entry where nothing is known of that state.
 *
 * Whoever only removes fields gets no entry: they are taken out of their owner's, which keeps its time, or goes. So an
 * entry that has changed and not its time is no author's, unless the time is now: of one manager's two changes within a
 * second. A removal by somebody else so soon after is taken for the owner's.
 */
export const changedBy = (
  object: RawObject,
  prints: ReadonlyArray<number> = [],
  before?: ReadonlyArray<number>,
  now = Date.now()
): ChangedBy | undefined => {
  const entries = object.metadata.managedFields ?? []
  if (before === undefined) return newestOf(entries)
  const isNew = (print: number) => !before.includes(prints[print]!)
  const isNow = ({ time = "" }: FieldsEntry) => Math.abs(now - Date.parse(time)) <= justNowMillis
  return (
    newestOf(entries.filter((_, index) => isNew(2 * index))) ??
    newestOf(entries.filter((entry, index) => isNew(2 * index + 1) && isNow(entry)))
  )
}

/**
 * The newest entry, if it is not of before `since` (milliseconds since the epoch): of a change after that to an object of
 * whose former state no more is known. Who only removes fields is nobody here as well.
 */
export const changedSince = (object: RawObject, since: number): ChangedBy | undefined => {
  const newest = newestOf(object.metadata.managedFields ?? [])
  return newest !== undefined && Date.parse(newest.at) >= since - justNowMillis ? newest : undefined
}

export interface KubeEvent {
  readonly kind: KindId
  readonly ref: Ref
  readonly verb: Verb
  readonly object: RawObject
  /** The deletion was not seen, but found by comparing with a list. */
  readonly synthesized: boolean
  /** Who changed it; absent where Kubernetes does not say. */
  readonly by?: ChangedBy | undefined
}

/** `ce-id` and `Nats-Msg-Id`: one per state of an object. */
export const eventId = (verb: Verb, object: RawObject): string =>
  verb === "deleted"
    ? `${object.metadata.uid}.deleted`
    : `${object.metadata.uid}.${object.metadata.resourceVersion}`

/**
 * The event's headers: a CloudEvent in NATS binary mode (CloudEvents 1.0, NATS protocol binding 1.0 §3.1), and the
 * trace context. A deletion also tells the bucket to drop the key, and lives as long as the log.
 */
export const eventHeaders = (
  event: KubeEvent,
  source: string,
  time: string,
  traceparent: string
): MsgHdrs => {
  const { kind, ref, verb, object } = event
  const h = headers()
  // Names of some kinds, and whoever changed the object, may hold what a header may not.
  const oneLine = (text: string) => text.replaceAll(/[\r\n]+/g, " ")
  h.set("ce-specversion", "1.0")
  h.set("ce-id", eventId(verb, object))
  h.set("ce-type", `ext.ipcontroller.kube.${kind.kind.toLowerCase()}.${verb}`)
  h.set("ce-source", source)
  h.set("ce-subject", oneLine(`${resourceName(kind)}/${refKey(ref)}`))
  h.set("ce-time", time)
  h.set("ce-uid", object.metadata.uid)
  h.set("ce-resourceversion", object.metadata.resourceVersion)
  if (object.metadata.generation !== undefined) h.set("ce-generation", String(object.metadata.generation))
  const { by } = event
  if (by !== undefined && verb !== "deleted") {
    h.set("ce-manager", oneLine(by.manager))
    h.set("ce-operation", oneLine(by.operation))
    h.set("ce-changedat", oneLine(by.at))
  }
  if (event.synthesized) h.set("ce-synthesized", "true")
  h.set("content-type", "application/json")
  h.set("traceparent", traceparent)
  if (verb === "deleted") {
    h.set("KV-Operation", "DEL")
    // A shorter life would take the deletion out of the log as well.
    h.set("Nats-TTL", `${logMaxAgeSeconds}s`)
  }
  return h
}

/** The object as it is published: `managedFields` stay behind, they are half of its size and nobody reads them. */
export const eventBody = (object: RawObject): string => {
  if (object.metadata.managedFields === undefined) return JSON.stringify(object)
  const { managedFields: _, ...metadata } = object.metadata
  return JSON.stringify({ ...object, metadata })
}
