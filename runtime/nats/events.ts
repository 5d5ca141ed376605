import { headers, type MsgHdrs } from "@nats-io/transport-node"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import type { Verb } from "../Trigger.ts"
import { logMaxAgeSeconds } from "./streams.ts"

/** Who changed an object, and when: the newest entry of `managedFields`. Times are RFC 3339, to the second. */
export interface ChangedBy {
  readonly manager: string
  readonly operation: string
  readonly at: string
}

export const changedBy = (object: RawObject): ChangedBy | undefined => {
  let newest: ChangedBy | undefined
  for (const entry of object.metadata.managedFields ?? []) {
    // At equal times the later entry counts: the API server sorts them by time, ours come last.
    if (entry.time !== undefined && (newest === undefined || entry.time >= newest.at)) {
      newest = { manager: entry.manager ?? "unknown", operation: entry.operation ?? "Update", at: entry.time }
    }
  }
  return newest
}

export interface KubeEvent {
  readonly kind: KindId
  readonly ref: Ref
  readonly verb: Verb
  readonly object: RawObject
  /** The deletion was not seen, but found by comparing with a list. */
  readonly synthesized: boolean
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
  h.set("ce-specversion", "1.0")
  h.set("ce-id", eventId(verb, object))
  h.set("ce-type", `ext.ipcontroller.kube.${kind.kind.toLowerCase()}.${verb}`)
  h.set("ce-source", source)
  h.set("ce-subject", `${resourceName(kind)}/${refKey(ref)}`)
  h.set("ce-time", time)
  h.set("ce-uid", object.metadata.uid)
  h.set("ce-resourceversion", object.metadata.resourceVersion)
  if (object.metadata.generation !== undefined) h.set("ce-generation", String(object.metadata.generation))
  const by = changedBy(object)
  if (by !== undefined && verb !== "deleted") {
    h.set("ce-manager", by.manager)
    h.set("ce-operation", by.operation)
    h.set("ce-changedat", by.at)
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
