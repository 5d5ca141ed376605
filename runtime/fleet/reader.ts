import { setTimeout as delay } from "node:timers/promises"
import {
  type ConsumerMessages,
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager
} from "@nats-io/jetstream"
import type { NatsConnection, Status } from "@nats-io/transport-node"
import { presenceSeconds } from "../nats/configs.ts"
import { watchOver } from "../nats/watchOver.ts"
import { Intake } from "./intake.ts"
import { type FleetStream, StreamLives, streams } from "./lives.ts"
import { Membership } from "./membership.ts"
import { FleetState } from "./state.ts"

export interface FleetReaderOptions {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly isConnected: () => boolean
  /** From the loss of a node until nothing of it is left on the network: its kernel's patience, and the takeover. */
  readonly abandonMillis?: number
  readonly say: (news: FleetNews) => void
}

export type FleetNews =
  | { readonly _tag: "FleetRead"; readonly nodes: number; readonly placements: number }
  | { readonly _tag: "FleetLost"; readonly message: string }
  | { readonly _tag: "FleetUndecodable"; readonly subject: string; readonly problem: string }

/** The fleet has been read, and is followed until `lost` is aborted. */
export interface FleetLife {
  readonly lost: AbortSignal
}

const lookMillis = 250
const checkMillis = 2_000

/**
 * Keeps the state of the fleet as new as its three streams. After every interruption of the connection, and whenever
 * one of the streams is another one or went back in time, it is read anew.
 */
export class FleetReader {
  readonly state = new FleetState()
  readonly #options: FleetReaderOptions
  readonly #membership: Membership
  readonly #intake: Intake
  /** What is known of the streams, in this life. */
  readonly lives: StreamLives
  #life: FleetLife | undefined
  #waiting: Array<(life: FleetLife) => void> = []
  readonly #users = new Set<Promise<void>>()

  constructor(options: FleetReaderOptions) {
    this.#options = options
    this.lives = new StreamLives(options.jsm)
    this.#membership = new Membership({
      state: this.state,
      lifetimeMillis: presenceSeconds * 1_000,
      abandonMillis: options.abandonMillis ?? 12_000
    })
    this.state.followedMillis = () => this.#membership.followedMillis(performance.now())
    this.#intake = new Intake(this.state, this.#membership, (subject, problem) =>
      options.say({ _tag: "FleetUndecodable", subject, problem })
    )
  }

  /** The present life; `undefined` while the fleet is being read. */
  get life(): FleetLife | undefined {
    return this.#life?.lost.aborted === false ? this.#life : undefined
  }

  /**
   * Waits until the fleet has been read, and lets `run` use it; that is to end when the life does. What it sees does
   * not change under it after that: the next life waits for its end. Returns at once when the signal is aborted.
   */
  async use(signal: AbortSignal, run: (life: FleetLife) => Promise<void>): Promise<void> {
    const life = await this.#whole(signal)
    if (life === undefined) return
    const using = run(life)
    this.#users.add(using)
    await using.finally(() => this.#users.delete(using))
  }

  /** Says what has become of the streams since they were read; `undefined` when they are what they were. */
  async lossOf(only: ReadonlyArray<FleetStream> = streams): Promise<string | undefined> {
    if (this.life === undefined) return "the nodes are being read anew"
    return await this.lives.lossOf(only)
  }

  async #whole(signal: AbortSignal): Promise<FleetLife | undefined> {
    if (this.life !== undefined || signal.aborted) return this.life
    return await new Promise((resolve) => {
      const ended = () => resolve(undefined)
      signal.addEventListener("abort", ended, { once: true })
      this.#waiting.push((life) => {
        signal.removeEventListener("abort", ended)
        resolve(life)
      })
    })
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lost = new AbortController()
      const both = AbortSignal.any([signal, lost.signal])
      const stops: Array<() => void> = [this.#watchConnection(lost)]
      try {
        if (this.#options.isConnected()) {
          await this.#read(both, lost, stops)
          await this.#follow(both, lost)
        }
      } catch (cause) {
        if (!signal.aborted) {
          const message = cause instanceof Error ? cause.message : String(cause)
          this.#options.say({ _tag: "FleetLost", message })
        }
      }
      lost.abort()
      this.#life = undefined
      for (const stop of stops) stop()
      await Promise.allSettled(this.#users)
      await delay(100, undefined, { signal }).catch(() => undefined)
    }
  }

  async #read(signal: AbortSignal, lost: AbortController, stops: Array<() => void>): Promise<void> {
    const { say } = this.#options
    this.#intake.begin()
    await this.lives.begin()
    for (const stream of streams) await this.#consume(stream, signal, lost, stops)
    const loss = await this.lives.lossOf(streams)
    if (loss !== undefined) throw new Error(`${loss}, while it was read`)
    signal.throwIfAborted()
    this.#membership.whole(performance.now())
    this.#life = { lost: signal }
    this.state.whole()
    say({ _tag: "FleetRead", nodes: this.state.nodes.size, placements: this.state.placements.size })
    for (const resolve of this.#waiting.splice(0)) resolve(this.#life)
  }

  /** Begins to follow a stream, and returns once everything is in that it held when we began. */
  async #consume(
    stream: FleetStream,
    signal: AbortSignal,
    lost: AbortController,
    stops: Array<() => void>
  ): Promise<void> {
    const consumer = await this.#options.js.consumers.get(stream, {
      deliver_policy: DeliverPolicy.LastPerSubject
    })
    const caughtUp = Promise.withResolvers<void>()
    if ((await consumer.info(true)).num_pending === 0) caughtUp.resolve()
    let received = 0
    const messages: ConsumerMessages = await consumer.consume({
      max_messages: 1_000,
      expires: 5_000,
      idle_heartbeat: 1_000,
      callback: (message) => {
        if (signal.aborted) return
        this.#intake.take(message, performance.now())
        this.lives.read(stream, message.seq)
        received = message.info.deliverySequence
        if (message.info.pending === 0) caughtUp.resolve()
      }
    })
    stops.push(() => messages.stop())
    watchOver(this.#options.js, consumer, messages, () => received, caughtUp.resolve)
    messages.closed().then((cause) => {
      if (cause instanceof Error && !signal.aborted)
        this.#options.say({ _tag: "FleetLost", message: cause.message })
      lost.abort()
    })
    const ended = () => caughtUp.reject(new Error("interrupted"))
    if (signal.aborted) ended()
    signal.addEventListener("abort", ended, { once: true })
    await caughtUp.promise
    signal.removeEventListener("abort", ended)
  }

  /** Who is lost is looked at often; a stream that was wiped or went back says nothing by itself. */
  async #follow(signal: AbortSignal, lost: AbortController): Promise<void> {
    const look = setInterval(() => this.#membership.look(performance.now()), lookMillis)
    try {
      while (!signal.aborted) {
        await delay(checkMillis, undefined, { signal }).catch(() => undefined)
        if (signal.aborted || !this.#options.isConnected()) continue
        const loss = await this.lossOf().catch(() => undefined)
        if (loss === undefined || signal.aborted) continue
        this.#options.say({ _tag: "FleetLost", message: loss })
        lost.abort()
      }
    } finally {
      clearInterval(look)
    }
  }

  #watchConnection(lost: AbortController): () => void {
    // Its type does not say so, but this is the way to end it.
    const statuses = this.#options.connection.status() as AsyncIterable<Status> & {
      readonly stop: () => void
    }
    const watch = async () => {
      for await (const { type } of statuses) {
        if (type === "disconnect" || type === "reconnect") lost.abort()
      }
    }
    watch().catch(() => lost.abort())
    return () => statuses.stop()
  }
}
