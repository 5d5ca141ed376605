import { setTimeout as delay } from "node:timers/promises"
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg
} from "@nats-io/jetstream"
import { readSynced } from "../bridge/synced.ts"
import { type Kind, type KubeObject, refKey } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"
import { parseSubject, resourceSubjects, resourceToken } from "../nats/names.ts"
import { readAll } from "../nats/readAll.ts"
import { lossOf, originSequence, readIncarnation } from "../nats/streams.ts"
import { watchOver } from "../nats/watchOver.ts"
import type { WorldView } from "./worldView.ts"

export interface ReaderOptions {
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly isConnected: () => boolean
  readonly kinds: ReadonlyArray<Kind<any>>
  readonly view: WorldView
  readonly say: (news: ReaderNews) => void
}

export type ReaderNews =
  | { readonly _tag: "Waiting"; readonly message: string }
  | {
      readonly _tag: "Hydrated"
      readonly created: string
      readonly objects: number
      readonly sequence: number
    }
  | { readonly _tag: "Lost"; readonly message: string }
  | Undecodable

export interface Undecodable {
  readonly _tag: "Undecodable"
  readonly object: string
  readonly problem: string
}

/** One life of the log, followed by the view. `lost` is aborted when it ends. */
export interface Hydrated {
  readonly created: string
  /** The log's last sequence that the view held when it was whole. */
  readonly sequence: number
  /** Resource → the sequence that the newest state in the bucket had in the log, which may have let go of it since */
  readonly newest: ReadonlyMap<string, number>
  /** The same log, but it is not what it was: in the life before, the view was not that of what came since. */
  readonly wentBack: boolean
  readonly lost: AbortSignal
}

const checkMillis = 2_000
/** Long enough for every function to have found its consumer. */
const wokenMillis = 60_000

/** Keeps the view as new as the log: the bucket `kube` first, then the events of `KUBE` from there on. */
export class Reader {
  readonly #options: ReaderOptions
  /** The log's last sequence that is in the view. */
  position = 0
  /** `Nats-Msg-Id` of the event there; `undefined` while the position is that of the bucket. */
  #positionId: string | undefined
  /** The life of the log that was lost because it went back in time. */
  #wentBack: string | undefined
  #waiters: Array<{ readonly sequence: number; readonly resolve: () => void }> = []

  constructor(options: ReaderOptions) {
    this.#options = options
  }

  /** Resolves when the event with this sequence is in the view. */
  reached(sequence: number): Promise<void> | undefined {
    if (sequence <= this.position) return undefined
    return new Promise((resolve) => this.#waiters.push({ sequence, resolve }))
  }

  /**
   * Hydrates, and calls `live` for each life of the log; `live` should end when its signal says so.
   */
  async run(live: (hydrated: Hydrated) => Promise<void>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lost = new AbortController()
      const both = AbortSignal.any([signal, lost.signal])
      try {
        const whole = await this.#hydrate(both)
        if (whole === undefined) {
          await delay(200, undefined, { signal })
          continue
        }
        const { created, newest } = whole
        const stop = await this.#follow(created, lost, both)
        const wentBack = this.#wentBack === created
        const hydrated = { created, sequence: this.position, newest, wentBack, lost: both }
        this.#options.say({
          _tag: "Hydrated",
          created,
          sequence: this.position,
          objects: this.#options.kinds.reduce((sum, kind) => sum + this.#options.view.count(kind), 0)
        })
        // Everything has been woken by then, and need not be again when the next life begins.
        const woken = setTimeout(() => {
          this.#wentBack = undefined
        }, wokenMillis)
        try {
          await Promise.all([live(hydrated), this.#watchLog(created, lost, both)])
        } finally {
          clearTimeout(woken)
          lost.abort()
          stop()
          for (const waiter of this.#waiters.splice(0)) waiter.resolve()
        }
      } catch (cause) {
        lost.abort()
        if (signal.aborted) return
        this.#options.say({ _tag: "Lost", message: cause instanceof Error ? cause.message : String(cause) })
        await delay(200, undefined, { signal }).catch(() => undefined)
      }
    }
  }

  /** Reads the whole state; `undefined` while the bridge has not said that it is whole. */
  async #hydrate(signal: AbortSignal): Promise<Pick<Hydrated, "created" | "newest"> | undefined> {
    const { js, jsm, kinds, view, say } = this.#options
    const incarnation = await readIncarnation(jsm)
    if (incarnation === undefined) {
      say({ _tag: "Waiting", message: "there is no stream KUBE yet: is the bridge running?" })
      return undefined
    }
    for (const kind of kinds) {
      if ((await readSynced(jsm, resourceToken(kind), incarnation.created)) === undefined) {
        say({ _tag: "Waiting", message: `the bridge has not synced ${kind.plural} yet` })
        return undefined
      }
    }
    const present = new Map(kinds.map((kind) => [resourceToken(kind), new Map<string, KubeObject>()]))
    const byToken = new Map(kinds.map((kind) => [resourceToken(kind), kind]))
    const prefix = "$KV.kube."
    let position = 0
    const newest = new Map<string, number>()
    // One filter, though that brings kinds that are not ours: with several the server searches the whole block for each
    // message, and 16,000 objects cost it 2 s instead of 0.2.
    const filter = kinds.length === 1 ? `${prefix}${resourceToken(kinds[0]!)}.>` : `${prefix}>`
    const bucket = { stream: "KV_kube", filters: [filter], lastPerSubject: true, signal }
    await readAll(js, bucket, (message) => {
      const parsed = parseSubject(`kube.${message.subject.slice(prefix.length)}.added`)
      const kind = parsed === undefined ? undefined : byToken.get(parsed.resource)
      const sequence = originSequence(message.headers?.get("Nats-Stream-Source") ?? "")
      position = Math.max(position, sequence)
      if (parsed === undefined || kind === undefined) return
      const objects = present.get(parsed.resource)!
      if ((message.headers?.get("KV-Operation") ?? "") !== "") {
        // Deleted since its state was read here: the log, which is followed from behind that, does not say it again.
        objects.delete(refKey(parsed.ref))
        return
      }
      newest.set(parsed.resource, Math.max(sequence, newest.get(parsed.resource) ?? 0))
      // Decoded here, one by one: the bodies of 20,000 objects at once would be most of the process.
      const raw = this.#objectIn(message)
      const object = raw && view.decode(kind, raw)
      if (object !== undefined) objects.set(refKey(parsed.ref), object)
    })
    for (const kind of kinds) view.replaceAll(kind, present.get(resourceToken(kind))!)
    this.position = position
    this.#positionId = undefined
    return { created: incarnation.created, newest }
  }

  /** Follows the log, and returns once the view holds everything that was in it when we began. */
  async #follow(created: string, lost: AbortController, signal: AbortSignal): Promise<() => void> {
    const { js, jsm, kinds, view } = this.#options
    const byToken = new Map(kinds.map((kind) => [resourceToken(kind), kind]))
    const consumer = await js.consumers.get("KUBE", {
      filter_subjects: kinds.map((kind) => resourceSubjects(kind)),
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: this.position + 1
    })
    const caughtUp = Promise.withResolvers<void>()
    const pending = (await consumer.info(true)).num_pending
    if (pending === 0) caughtUp.resolve()
    const now = await readIncarnation(jsm)
    if (now?.created !== created) throw new Error("the log was replaced while it was read")
    let received = 0
    const messages: ConsumerMessages = await consumer.consume({
      max_messages: 1_000,
      // A consumer that NATS lost when it was restarted is missed after two seconds, not after thirty.
      expires: 5_000,
      idle_heartbeat: 1_000,
      callback: (message: JsMsg) => {
        if (signal.aborted) return
        const parsed = parseSubject(message.subject)
        const kind = parsed === undefined ? undefined : byToken.get(parsed.resource)
        if (parsed !== undefined && kind !== undefined) {
          const uid = message.headers?.get("ce-uid") ?? ""
          const version = message.headers?.get("ce-resourceversion") ?? ""
          // Two of three are writes of ours, which the view has had since they were answered.
          if (parsed.verb === "deleted" || !view.isPast(kind, parsed.ref, uid, version)) {
            const raw = this.#objectIn(message)
            if (raw !== undefined) view.applyEvent(kind, parsed.ref, parsed.verb, uid, raw)
          }
        }
        this.#positionId = message.headers?.get("Nats-Msg-Id") || undefined
        this.#moveTo(message.seq)
        received = message.info.deliverySequence
        if (message.info.pending === 0) caughtUp.resolve()
      }
    })
    watchOver(js, consumer, messages, () => received, caughtUp.resolve)
    messages.closed().then((cause) => {
      if (cause instanceof Error && !signal.aborted)
        this.#options.say({ _tag: "Lost", message: cause.message })
      lost.abort()
    })
    const stopped = () => caughtUp.reject(new Error("stopped"))
    if (signal.aborted) stopped()
    signal.addEventListener("abort", stopped, { once: true })
    try {
      await caughtUp.promise
    } catch (cause) {
      messages.stop()
      throw cause
    }
    return () => messages.stop()
  }

  /** The object that a message carries. Whoever else may have put something else there does not stop us. */
  #objectIn(message: JsMsg): RawObject | undefined {
    try {
      const raw = message.json<RawObject | null>()
      if (typeof raw?.metadata?.name === "string" && typeof raw.metadata.uid === "string") return raw
      throw new Error("it has no metadata with name and uid")
    } catch (cause) {
      const problem = `no object: ${cause instanceof Error ? cause.message : String(cause)}`
      this.#options.say({ _tag: "Undecodable", object: message.subject, problem })
      return undefined
    }
  }

  #moveTo(sequence: number): void {
    this.position = sequence
    if (this.#waiters.length === 0) return
    const due = this.#waiters.filter((waiter) => waiter.sequence <= sequence)
    if (due.length === 0) return
    this.#waiters = this.#waiters.filter((waiter) => waiter.sequence > sequence)
    for (const waiter of due) waiter.resolve()
  }

  /** A log that was wiped or went back says nothing by itself, so it is looked at. */
  async #watchLog(created: string, lost: AbortController, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(checkMillis, undefined, { signal }).catch(() => undefined)
      if (signal.aborted || !this.#options.isConnected()) continue
      // As we know it now: while the answer is on its way, the log and we go on.
      const known = { created, sequence: this.position, id: this.#positionId }
      const loss = await lossOf(this.#options.jsm, known).catch(() => undefined)
      if (loss !== undefined) {
        this.#wentBack = created
        this.#options.say({ _tag: "Lost", message: loss })
        lost.abort()
      }
    }
  }
}
