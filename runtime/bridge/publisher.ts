import { setTimeout as delay } from "node:timers/promises"
import { JetStreamApiError, type JetStreamManager } from "@nats-io/jetstream"
import { errors } from "@nats-io/transport-node"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import {
  changedBy,
  changedSince,
  eventBody,
  eventHeaders,
  eventId,
  fieldPrints,
  type KubeEvent
} from "../nats/events.ts"
import { eventSubject, objectSubjects, objectToken } from "../nats/names.ts"
import type { StreamPublisher } from "../nats/publish.ts"
import type { Incarnation } from "../nats/streams.ts"
import type { Verb } from "../Trigger.ts"
import { newSpan, traceparentOf } from "../trace/context.ts"
import type { Known, KnownStates } from "./known.ts"

/** Another bridge is the active one now. */
export class Deposed extends Error {
  override readonly name = "Deposed"
}

/** The log is another one than the one we knew: wiped, restored, or gone back in time. */
export class LogLost extends Error {
  override readonly name = "LogLost"
}

/** The cluster's resource versions went back: etcd was restored from a snapshot. */
export class ClusterWentBack extends Error {
  override readonly name = "ClusterWentBack"
}

export interface PublisherOptions {
  readonly stream: Pick<StreamPublisher, "publish">
  readonly jsm: JetStreamManager
  /** CloudEvents source: the cluster. */
  readonly source: string
  readonly incarnation: Incarnation
  /** Ends every wait with its reason. */
  readonly signal: AbortSignal
  /** Resolves as soon as we may publish: connected, the log verified, the lease ours; rejects when it is not. */
  readonly mayPublish: () => Promise<void> | undefined
  /** Asks the server whether we are still the active one, and the log still the one we knew. Rejects if not. */
  readonly confirm: () => Promise<void>
  readonly published: (event: KubeEvent) => void
  /** The event cannot be a message, now or later: its object stays as the log has it. */
  readonly unpublishable: (event: KubeEvent, why: string) => void
  /** The event has been tried for seconds, and is tried on. */
  readonly delayed: (event: KubeEvent, why: string) => void
}

/** So many attempts, about two seconds of them, are nobody's concern. */
const patience = 5

/** Of a subject, and of the headers that repeat it: a server takes lines of 4,096 bytes, reply and sizes included. */
const longestSubject = 3_000

/** What the client refuses to send: larger than the server takes, or not to be written down as a message at all. */
const isRefusedByClient = (cause: unknown): cause is Error => cause instanceof errors.InvalidArgumentError

const wrongLastSequence = 10071
const wrongLastSequenceAnySubject = 10164

/** Compares resource versions of one object. Since Kubernetes 1.35 they are documented as increasing integers. */
export const isOlder = (a: string, b: string): boolean => Number(a) < Number(b)

/**
 * Whether the log has gone past this event: it has the same state or a newer one, of the object or of a successor of
 * the same name. A deletion that was found by comparing carries the version of the last state, so it passes that.
 */
export const isOutdated = (event: Pick<KubeEvent, "verb" | "object">, logged: Known): boolean => {
  const { uid, resourceVersion } = event.object.metadata
  if (logged.uid === uid && logged.deleted === true) return true
  if (isOlder(resourceVersion, logged.resourceVersion)) return logged.uid !== uid || event.verb !== "deleted"
  return event.verb !== "deleted" && logged.uid === uid && logged.resourceVersion === resourceVersion
}

/** A state of an object, or its end, as it was seen at the API server. */
export interface Seen extends Omit<KubeEvent, "verb"> {
  readonly isGone: boolean
  /** It is in a list that was made at this version. */
  readonly listedAt?: string
}

/** Who an object is, and nothing of what it is. */
const bareOf = ({ apiVersion, kind, metadata }: RawObject): RawObject => {
  const { name, namespace, uid, resourceVersion } = metadata
  const who = { name, ...(namespace === undefined ? {} : { namespace }), uid, resourceVersion }
  return {
    ...(apiVersion === undefined ? {} : { apiVersion }),
    ...(kind === undefined ? {} : { kind }),
    metadata: who
  }
}

/** A state with its place in the log. */
type Placed = KubeEvent & Pick<Seen, "listedAt">

/**
 * Whether the log has gone past what is to be published. A list may be older than a deletion in the log, which then has
 * the higher version.
 *
 * @throws ClusterWentBack when it is not, and has the object nevertheless.
 */
const isPassed = (event: Placed, logged: Known): boolean => {
  const { listedAt, kind, ref } = event
  const isSameThatWasGone = logged.deleted === true && logged.uid === event.object.metadata.uid
  if (isSameThatWasGone && listedAt !== undefined && !isOlder(listedAt, logged.resourceVersion)) {
    const object = `${resourceName(kind)} ${refKey(ref)}`
    throw new ClusterWentBack(`${object} is there at ${listedAt}, it was gone at ${logged.resourceVersion}`)
  }
  return isOutdated(event, logged)
}

/** What a state is to the log, whose last word on the object is `logged`. */
export const verbOf = (seen: Seen, logged: Known | undefined): Verb => {
  if (seen.isGone) return "deleted"
  return logged?.uid === seen.object.metadata.uid && logged.deleted !== true ? "modified" : "added"
}

/**
 * Puts events into the log: those of one object one after the other, those of different objects side by side. Each
 * publish says what it expects to be the object's last event, so that a state which is older than the one in the log
 * is refused there, whoever sends it.
 */
export class Publisher {
  /** The last sequence that was acknowledged, and the event that stands there; none when nothing was published yet. */
  last: { readonly sequence: number; readonly id: string | undefined }
  readonly #options: PublisherOptions
  readonly #chains = new Map<string, Promise<void>>()
  /** What is watched changes after this, and what is listed may have changed before it. */
  readonly #since = Date.now()

  constructor(options: PublisherOptions) {
    this.#options = options
    this.last = { sequence: options.incarnation.lastSequence, id: undefined }
  }

  get lastSequence(): number {
    return this.last.sequence
  }

  /**
   * Resolves when the log has the state, or one that is past it. It repeats for as long as that takes, unless the signal
   * says otherwise.
   */
  publish(seen: Seen, known: KnownStates): Promise<void> {
    const key = objectToken(seen.kind, seen.ref)
    const before = this.#chains.get(key)
    const run =
      before === undefined ? this.#send(seen, key, known) : before.then(() => this.#send(seen, key, known))
    this.#chains.set(key, run)
    const forget = () => {
      if (this.#chains.get(key) === run) this.#chains.delete(key)
    }
    run.then(forget, forget)
    return run
  }

  async #send(seen: Seen, key: string, known: KnownStates): Promise<void> {
    const { stream, signal, source } = this.#options
    const seenAt = new Date()
    const traceparent = traceparentOf(newSpan())
    let body = eventBody(seen.object)
    const fields = fieldPrints(seen.object)
    for (let attempt = 0; ; attempt++) {
      signal.throwIfAborted()
      const wait = this.#options.mayPublish()
      if (wait !== undefined) await wait
      const state = known.get(key)
      // Only now: when this state was seen, the one before may still have been on its way to the log.
      const event: Placed = { ...seen, verb: verbOf(seen, state) }
      if (state !== undefined && isPassed(event, state)) return
      const msgID = eventId(event.verb, event.object)
      const before = event.verb === "modified" ? state?.fields : undefined
      const isSeenChange = event.verb === "modified" && event.listedAt === undefined
      const by =
        before === undefined && isSeenChange
          ? changedSince(event.object, this.#since)
          : changedBy(event.object, fields, before, seenAt.getTime())
      const subject = eventSubject(event.kind, event.ref, event.verb)
      if (subject.length > longestSubject) {
        this.#options.unpublishable(event, `its name is ${event.ref.name.length} characters long`)
        return
      }
      try {
        const headers = eventHeaders({ ...event, by }, source, seenAt.toISOString(), traceparent)
        headers.set("Nats-Msg-Id", msgID)
        headers.set("Nats-Expected-Last-Subject-Sequence-Subject", objectSubjects(event.kind, event.ref))
        headers.set("Nats-Expected-Last-Subject-Sequence", String(state?.sequence ?? 0))
        const sequence = await stream.publish(subject, body, headers)
        this.#stored(event, key, known, sequence, fields)
        return
      } catch (cause) {
        signal.throwIfAborted()
        if (
          cause instanceof JetStreamApiError &&
          (cause.code === wrongLastSequence || cause.code === wrongLastSequenceAnySubject)
        ) {
          if (await this.#reconcile(event, key, known, fields)) return
        } else if (isRefusedByClient(cause)) {
          const bare = eventBody(bareOf(event.object))
          if (event.verb !== "deleted" || body === bare) {
            this.#options.unpublishable(event, cause.message)
            return
          }
          // That it is gone can be said without what it was.
          body = bare
        } else {
          // Time-out, no responders, disconnected, a store that is full: the log may be away, or gone.
          if (attempt >= patience)
            this.#options.delayed(event, cause instanceof Error ? cause.message : String(cause))
          await this.#options.confirm()
          await delay(Math.min(50 * 2 ** attempt, 1_000), undefined, { signal })
        }
      }
    }
  }

  /**
   * The log's last event of this object is not the one we thought. Returns true when nothing is left to publish:
   * our own publish whose acknowledgement was lost, or a newer state than ours.
   */
  async #reconcile(
    event: Placed,
    key: string,
    known: KnownStates,
    fields: ReadonlyArray<number>
  ): Promise<boolean> {
    await this.#options.confirm()
    const last = await this.#last(event.kind, event.ref)
    if (last === undefined) {
      // Aged out of the log: the bucket still holds it, nobody has published since.
      const state = known.get(key)
      if (state !== undefined) known.set(key, { ...state, sequence: 0 })
      return false
    }
    if (last.id === eventId(event.verb, event.object)) {
      this.#stored(event, key, known, last.sequence, fields)
      return true
    }
    const state = { ...last, ref: event.ref }
    known.set(key, state)
    return isPassed(event, state)
  }

  #stored(
    event: KubeEvent,
    key: string,
    known: KnownStates,
    sequence: number,
    fields: ReadonlyArray<number>
  ): void {
    if (sequence > this.last.sequence) this.last = { sequence, id: eventId(event.verb, event.object) }
    if (event.verb === "deleted") known.delete(key)
    else {
      const { uid, resourceVersion } = event.object.metadata
      known.set(key, { uid, resourceVersion, sequence, ref: event.ref, fields })
    }
    this.#options.published(event)
  }

  async #last(kind: KindId, ref: Ref) {
    const message = await this.#options.jsm.direct.getMessage("KUBE", {
      last_by_subj: objectSubjects(kind, ref)
    })
    if (message === null) return undefined
    return {
      id: message.header.get("Nats-Msg-Id"),
      uid: message.header.get("ce-uid"),
      resourceVersion: message.header.get("ce-resourceversion"),
      sequence: message.seq,
      deleted: message.header.get("KV-Operation") !== ""
    }
  }
}
