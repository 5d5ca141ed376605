import { setTimeout as delay } from "node:timers/promises"
import { type ConsumerMessages, DeliverPolicy, type JsMsg } from "@nats-io/jetstream"
import { headers, nuid } from "@nats-io/transport-node"
import type * as Context from "effect/Context"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import {
  Assignment,
  Complete,
  type InventoryMessage,
  inventorySubject,
  isSound,
  movedToHeader,
  nodeOfToken,
  nodeToken,
  Presence,
  presenceSubject,
  soundLinks
} from "../fleet/messages.ts"
import type { Nats } from "../nats/connection.ts"
import { watchOver } from "../nats/watchOver.ts"

const checkMillis = 2_000
const streams = ["KV_nodes", "KV_assignments", "NODE"] as const

const decodeAssignment = Schema.decodeUnknownResult(Schema.fromJsonString(Assignment))
const decodeComplete = Schema.decodeUnknownResult(Schema.fromJsonString(Complete))
const decodePresence = Schema.decodeUnknownResult(Schema.fromJsonString(Presence))

export interface ContactOptions {
  readonly node: string
  readonly nats: Context.Service.Shape<typeof Nats>
  readonly presenceMillis: number
  readonly presenceTtlMillis: number
  readonly presence: () => Omit<Presence, "inventory">
  readonly inventory: () => InventoryMessage["held"]
  /** The slice is read anew. */
  readonly began: () => void
  readonly assignment: (assignment: Assignment, message: JsMsg) => void
  /** `movedTo`: the node that has it now. */
  readonly gone: (claim: string, movedTo: string | undefined, message: JsMsg) => void
  /** The slice holds everything, given the inventory that was sent last. */
  readonly whole: () => void
  readonly draining: (draining: boolean) => void
  readonly peer: (node: string, presence: Presence) => void
  /** Its key was deleted, or has expired. */
  readonly peerGone: (node: string) => void
  /** The inventory has been stored: reports may follow. */
  readonly ready: () => void
  readonly ended: () => void
  readonly say: (message: string) => void
}

/** The node's side of the conversation over NATS. It ends with each loss of NATS, and begins anew. */
export class Contact {
  readonly #options: ContactOptions
  #inventoryId = ""
  #isLive = false
  #last = Number.NEGATIVE_INFINITY

  constructor(options: ContactOptions) {
    this.#options = options
  }

  /** The conversation is under way. */
  get isLive(): boolean {
    return this.#isLive
  }

  async run(signal: AbortSignal): Promise<void> {
    const { nats, say } = this.#options
    let said = ""
    while (!signal.aborted) {
      const ended = new AbortController()
      const stopListening = nats.onStatus((status) => {
        if (status === "lost") ended.abort()
      })
      try {
        if (!nats.isConnected()) throw new Error("the connection is lost")
        const both = AbortSignal.any([signal, ended.signal])
        // A question that was under way when the connection was lost is answered by its time-out alone.
        await Promise.race([this.#live(both, ended), aborted(both)])
        said = ""
      } catch (cause) {
        const message = cause instanceof Error ? cause.message : String(cause)
        if (!signal.aborted && message !== said) say(`NATS: ${message}`)
        said = message
      } finally {
        ended.abort()
        stopListening()
        if (this.#isLive) this.#options.ended()
        this.#isLive = false
      }
      await delay(200, undefined, { signal }).catch(() => undefined)
    }
  }

  /** Says at once that the node's links have changed. */
  refresh(): void {
    if (!this.#isLive) return
    const { nats, node, presence, presenceTtlMillis } = this.#options
    const h = headers()
    h.set("Nats-TTL", `${Math.ceil(presenceTtlMillis / 1000)}s`)
    const body: Presence = { ...presence(), inventory: this.#inventoryId }
    nats.connection.publish(presenceSubject(node), JSON.stringify(body), { headers: h })
    this.#last = performance.now()
  }

  async #live(signal: AbortSignal, ended: AbortController): Promise<void> {
    const { nats, node, began, inventory, ready } = this.#options
    const { js, jsm } = nats
    const lives = await Promise.all(streams.map(async (name) => (await jsm.streams.info(name)).created))
    signal.throwIfAborted()
    this.#inventoryId = nuid.next()
    began()
    const reading: Array<ConsumerMessages> = []
    try {
      const peer = (message: JsMsg) => this.#peer(message)
      reading.push(await this.#follow("KV_nodes", "$KV.nodes.*", signal, ended, peer))
      const ours = `$KV.assignments.${nodeToken(node)}.*`
      const slice = (message: JsMsg) => this.#slice(message)
      reading.push(await this.#follow("KV_assignments", ours, signal, ended, slice))
      signal.throwIfAborted()
      this.#isLive = true
      this.refresh()
      const held = inventory()
      await js.publish(inventorySubject(node), JSON.stringify({ id: this.#inventoryId, held }))
      if (signal.aborted) return
      ready()
      await Promise.all([this.#stayPresent(signal), this.#watchStreams(lives, signal, ended)])
    } finally {
      for (const messages of reading) messages.stop()
    }
  }

  async #follow(
    stream: string,
    filter: string,
    signal: AbortSignal,
    ended: AbortController,
    each: (message: JsMsg) => void
  ): Promise<ConsumerMessages> {
    const consumer = await this.#options.nats.js.consumers.get(stream, {
      filter_subjects: [filter],
      deliver_policy: DeliverPolicy.LastPerSubject
    })
    const messages = await consumer.consume({
      max_messages: 2_000,
      expires: 5_000,
      idle_heartbeat: 1_000,
      callback: (message: JsMsg) => {
        if (!signal.aborted) each(message)
      }
    })
    watchOver(
      this.#options.nats.js,
      consumer,
      messages,
      () => Number.POSITIVE_INFINITY,
      () => undefined
    )
    messages.closed().then((cause) => {
      if (cause instanceof Error && !signal.aborted) this.#options.say(`${stream}: ${cause.message}`)
      ended.abort()
    })
    return messages
  }

  #peer(message: JsMsg): void {
    const name = nodeOfToken(message.subject.split(".")[2] ?? "")
    if (isRemoval(message)) {
      this.#options.peerGone(name)
      return
    }
    const presence = decodePresence(message.string())
    if (Result.isFailure(presence)) return
    this.#options.peer(name, { ...presence.success, links: soundLinks(presence.success.links) })
  }

  #slice(message: JsMsg): void {
    const key = message.subject.split(".")[3] ?? ""
    const removed = isRemoval(message)
    const { assignment, gone, whole, draining, say } = this.#options
    if (key === "_draining") draining(!removed)
    else if (key === "_complete") {
      const complete = removed ? undefined : decodeComplete(message.string())
      const isOurs = complete !== undefined && Result.isSuccess(complete)
      // An answer to what we have said in this life: all that was placed before it has been read before it.
      if (isOurs && complete.success.inventory === this.#inventoryId) whole()
    } else if (removed) gone(key, message.headers?.get(movedToHeader) || undefined, message)
    else {
      const read = decodeAssignment(message.string())
      if (Result.isFailure(read))
        say(`${message.subject} has not the expected shape: ${read.failure.message}`)
      else if (read.success.claim === key && isSound(read.success)) assignment(read.success, message)
      else say(`${message.subject} is about ${read.success.address}, which is another claim's: passed over`)
    }
  }

  async #stayPresent(signal: AbortSignal): Promise<void> {
    const { presenceMillis } = this.#options
    while (!signal.aborted) {
      const wait = this.#last + presenceMillis - performance.now()
      await delay(Math.max(wait, 10), undefined, { signal }).catch(() => undefined)
      if (!signal.aborted && performance.now() - this.#last >= presenceMillis - 5) this.refresh()
    }
  }

  /** A bucket that was wiped or went back says nothing by itself, so it is looked at. */
  async #watchStreams(
    lives: ReadonlyArray<string>,
    signal: AbortSignal,
    ended: AbortController
  ): Promise<void> {
    const { nats, say } = this.#options
    const last = streams.map(() => 0)
    while (!signal.aborted) {
      await delay(checkMillis, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      for (const [i, name] of streams.entries()) {
        const info = await nats.jsm.streams.info(name).catch((cause: unknown) => {
          const message = cause instanceof Error ? cause.message : String(cause)
          return message.includes("not found") ? undefined : ("unknown" as const)
        })
        if (info === "unknown") continue
        if (info !== undefined && info.created === lives[i] && info.state.last_seq >= last[i]!) {
          last[i] = info.state.last_seq
          continue
        }
        say(`the stream ${name} is gone, or another one, or went back in time`)
        ended.abort()
        return
      }
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener("abort", () => resolve(), { once: true })
  })

/** The key was deleted, or has expired. */
const isRemoval = (message: JsMsg): boolean =>
  (message.headers?.get("KV-Operation") ?? "") !== "" ||
  (message.headers?.get("Nats-Marker-Reason") ?? "") !== ""
