import { createHash } from "node:crypto"
import { hostname } from "node:os"
import { setTimeout as delay } from "node:timers/promises"
import * as Effect from "effect/Effect"
import type { KindId, KubeObject, Metadata } from "../Kind.ts"
import type { EventNote } from "../Kube.ts"
import type { KubeFailure } from "../KubeFailure.ts"
import type { KubeApi } from "../kube/api.ts"
import { own } from "../nats/own.ts"

const eventKind: KindId = { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true }

interface Queued {
  readonly kind: KindId
  /** Of the object that it is about: no more, since the view may have dropped that long before. */
  readonly about: Pick<Metadata, "name" | "namespace" | "uid" | "resourceVersion">
  readonly digest: string
  readonly reporter: string
  readonly note: EventNote
  readonly at: string
}

/** Events waiting to be written; more than this means that the API server cannot keep up, and the oldest go. */
const maxQueued = 20_000
const atOnce = 4
const remembered = 50_000
/** The API server forgets an Event after an hour (`--event-ttl`): what still holds is to be told again by then. */
const countsMillis = 50 * 60_000
/** One that was there already is of any age. */
const countsAsFoundMillis = 10 * 60_000

/**
 * Writes Kubernetes Events: beside the work, a few at a time, and each once for as long as it lasts. The name of an Event is
 * made of what it says, so a second host or a restart that says the same writes nothing.
 */
export class Notes {
  readonly #api: KubeApi
  readonly #queue: Array<Queued> = []
  /** Digest of what was said → until when that counts, by the monotonic clock; the oldest first. */
  readonly #said = new Map<string, number>()
  readonly #perSecond: number
  readonly #signal: AbortSignal
  #running = 0
  #tokens: number
  #refilled = performance.now()
  dropped = 0

  /** @param perSecond Events written per second at most; as many may be saved up for a burst */
  constructor(api: KubeApi, perSecond: number, signal: AbortSignal) {
    this.#api = api
    this.#perSecond = perSecond
    this.#tokens = perSecond
    this.#signal = signal
  }

  add(kind: KindId, object: KubeObject, reporter: string, note: EventNote): void {
    const digest = digestOf(object, note)
    const now = performance.now()
    if ((this.#said.get(digest) ?? 0) > now) return
    this.#said.delete(digest)
    this.#said.set(digest, now + countsMillis)
    if (this.#said.size > remembered) {
      for (const oldest of this.#said.keys()) {
        this.#said.delete(oldest)
        break
      }
    }
    if (this.#queue.length >= maxQueued) {
      this.#said.delete(this.#queue.shift()!.digest)
      this.dropped++
    }
    const { name, namespace, uid, resourceVersion } = object.metadata
    const about = { name, uid, resourceVersion, ...(namespace === undefined ? {} : { namespace }) }
    this.#queue.push({ kind, about, digest, reporter, note, at: new Date().toISOString() })
    while (this.#running < Math.min(atOnce, this.#queue.length)) void this.#drain()
  }

  /** Resolves when everything that was added has been written or given up. */
  async settled(): Promise<void> {
    while (this.#running > 0 && !this.#signal.aborted) await delay(10)
  }

  async #drain(): Promise<void> {
    this.#running++
    try {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
        await this.#token()
        if (this.#signal.aborted) return
        const { digest } = next
        // An Event is a courtesy: what cannot be written is not tried again, unless it is said again.
        await Effect.runPromise(
          Effect.catch(this.#write(next), (failure) => Effect.sync(() => this.#failed(digest, failure)))
        )
      }
    } finally {
      this.#running--
    }
  }

  #failed(digest: string, { _tag }: KubeFailure): void {
    if (_tag === "AlreadyExists") this.#said.set(digest, performance.now() + countsAsFoundMillis)
    // What is refused for what it is would be so again.
    else if (_tag !== "Invalid") this.#said.delete(digest)
  }

  async #token(): Promise<void> {
    for (;;) {
      const now = performance.now()
      this.#tokens = Math.min(
        this.#perSecond,
        this.#tokens + ((now - this.#refilled) * this.#perSecond) / 1000
      )
      this.#refilled = now
      if (this.#tokens >= 1 || this.#signal.aborted) break
      await delay(((1 - this.#tokens) * 1000) / this.#perSecond, undefined, { signal: this.#signal }).catch(
        () => undefined
      )
    }
    this.#tokens -= 1
  }

  #write({ kind, about, digest, reporter, note, at }: Queued) {
    // Events of cluster-scoped objects live in `default`, as kubelet's do.
    const namespace = about.namespace ?? "default"
    return this.#api.create(
      eventKind,
      namespace,
      {
        apiVersion: "v1",
        kind: "Event",
        metadata: { name: `${about.name.slice(0, 200)}.${digest}`, namespace },
        involvedObject: {
          apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
          kind: kind.kind,
          name: about.name,
          ...(about.namespace === undefined ? {} : { namespace }),
          uid: about.uid,
          resourceVersion: about.resourceVersion
        },
        type: note.type,
        reason: note.reason,
        message: `${note.message}`.slice(0, 1024),
        action: note.reason,
        reportingComponent: `ipcontroller.ext/${reporter}`,
        reportingInstance: hostname(),
        source: { component: `extip-${reporter}` },
        eventTime: at.replace("Z", "000Z"),
        firstTimestamp: at,
        lastTimestamp: at,
        count: 1
      },
      { manager: `extip-${reporter}` }
    )
  }
}

/** What makes two Events the same, in 16 digits. */
const digestOf = (object: KubeObject, note: EventNote): string =>
  own(
    createHash("sha256")
      .update(`${object.metadata.uid} ${note.reason} ${note.once ?? note.message}`)
      .digest("hex")
      .slice(0, 16)
  )
