import { setTimeout as delay } from "node:timers/promises"
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from "@nats-io/jetstream"
import type { NatsConnection } from "@nats-io/transport-node"
import type { FleetEvent } from "../Fleet.ts"
import type { FunctionDefinition } from "../Function.ts"
import type { Acks } from "./acks.ts"
import { ackWaitMillis, consume, ensureConsumer, markWoken, unpin } from "./consumer.ts"
import { Delivery } from "./delivery.ts"
import { concludeMapping } from "./faultyMapping.ts"
import { fromFleet, type Held } from "./held.ts"
import type { HostMetrics } from "./metrics.ts"
import type { OutcomeNews } from "./outcomes.ts"
import { activeMillis, followsFleet, publishActive } from "./pulses.ts"
import type { Hydrated, Reader } from "./reader.ts"
import { type RunServices, type Target, targetKey } from "./run.ts"
import { Runs } from "./runs.ts"
import { startWork } from "./startWork.ts"
import { Targets, wokenBy } from "./targets.ts"

/** How often it is looked at who has been silent. */
const progressMillis = ackWaitMillis / 5
/** Who has been silent for so long says that it is still at it: at the latest when half of the ack wait is over. */
const silentMillis = 1.5 * progressMillis

/** How often the lag is looked at. */
const lookMillis = 5_000
/** Without a word from the server for so long it is another host's turn: its place is lost after five seconds. */
const activeForMillis = activeMillis + 5_000

export interface WorkerOptions {
  readonly fn: FunctionDefinition<any>
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly reader: Pick<Reader, "reached">
  readonly isConnected: () => boolean
  readonly services: RunServices
  readonly metrics: HostMetrics
  readonly concurrency: number
  readonly say: (news: WorkerNews) => void
  readonly connection: NatsConnection
  /** Of all functions of the host. */
  readonly acks: Acks
  /** So long what runs may take to end when the host ends, or the log's life; then it is interrupted. */
  readonly drainMillis?: number
}

export type WorkerNews =
  | OutcomeNews
  | { readonly _tag: "Trouble"; readonly function: string; readonly message: string }

/** Runs one function: receives its events, keeps them until what they woke is done, and acknowledges them then. */
export class Worker {
  readonly #options: WorkerOptions
  /** One for each life of the log: what was not done in the one before is woken again by the next. */
  #work: ReturnType<typeof startWork>
  readonly #runs = new Runs()
  /** Sequence in the log → event that is not acknowledged yet */
  readonly #held = new Map<number, Held>()
  /** One for each life: what it remembers of events is of those that it has been given in it. */
  #targets: Targets
  #messages: ConsumerMessages | undefined
  #isReceiving = false
  /** The life of the log in which everything was woken last. */
  #wokenIn: Hydrated | undefined
  /** What the server called us when it made us the active host; empty for one that stands by. */
  #pin = ""
  /** When the server last gave us something, by the monotonic clock. */
  #activeAt = Number.NEGATIVE_INFINITY

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#targets = this.#newTargets()
    this.#work = startWork({ ...options, runs: this.#runs })
  }

  #newTargets(): Targets {
    const { fn, services } = this.#options
    return new Targets(fn, services.view, (...fault) => void concludeMapping(this.#options, ...fault))
  }

  get name(): string {
    return this.#options.fn.name
  }

  get usesFleet(): boolean {
    return this.#options.fn.fleet !== "none"
  }

  /** Its events come: here, or at the host that is active. */
  get isReceiving(): boolean {
    return this.#isReceiving
  }

  get retrying(): number {
    return this.#work.retrying
  }

  get held(): number {
    return this.#held.size
  }

  /** Works until the log's life ends or the host stops; then hands back what it has not done. */
  async live(hydrated: Hydrated): Promise<void> {
    const { fn, js, jsm, say, services } = this.#options
    const signal = hydrated.lost
    this.#targets = this.#newTargets()
    this.#work = startWork({ ...this.#options, runs: this.#runs })
    const progress = setInterval(() => {
      this.#runs.endOverdue()
      this.#sayProgress()
    }, progressMillis)
    const looks = setInterval(() => void this.#look(), lookMillis)
    void this.#look()
    const followed = followsFleet(fn)
    const stopListening = followed
      ? services.fleet?.state.listen((event, traceparent) => this.#happened(event, traceparent))
      : undefined
    try {
      while (!signal.aborted) {
        try {
          const isWoken = this.#wokenIn === hydrated
          const { wakeAll } = await ensureConsumer(jsm, fn, {
            ...hydrated,
            wentBack: hydrated.wentBack && !isWoken
          })
          this.#messages = await consume(js, fn.name, (message) => {
            this.#receive(message, signal).catch((cause: unknown) => {
              say({ _tag: "Trouble", function: fn.name, message: `${message.subject}: ${String(cause)}` })
            })
          })
          const ended = this.#messages.closed()
          if (followed) await publishActive(js, fn.name)
          this.#isReceiving = true
          if (wakeAll) {
            this.#wokenIn = hydrated
            const settle = () => {
              if (!signal.aborted) markWoken(jsm, fn.name, hydrated).catch(() => undefined)
            }
            this.#wake(this.#targets.all(), {
              sequence: 0,
              outstanding: 0,
              message: undefined,
              woken: undefined,
              settle
            })
          }
          await Promise.race([ended, aborted(signal)])
        } catch (cause) {
          say({
            _tag: "Trouble",
            function: fn.name,
            message: cause instanceof Error ? cause.message : String(cause)
          })
        }
        this.#isReceiving = false
        this.#messages?.stop()
        await delay(250, undefined, { signal }).catch(() => undefined)
      }
    } finally {
      clearInterval(progress)
      clearInterval(looks)
      stopListening?.()
      await this.#drain()
    }
  }

  /** How far behind it is, for the metrics. */
  async #look(): Promise<void> {
    const { fn, jsm, metrics } = this.#options
    const seen = await jsm.consumers.info("KUBE", fn.name).catch(() => undefined)
    metrics.looked(fn.name, { pending: seen?.num_pending ?? 0, retrying: this.retrying })
  }

  async #drain(): Promise<void> {
    this.#messages?.stop()
    const working = setInterval(() => this.#sayProgress(), progressMillis)
    const late = setTimeout(() => this.#runs.endAll(), this.#options.drainMillis ?? 20_000)
    await this.#work.stop()
    clearTimeout(late)
    clearInterval(working)
    this.#options.acks.flush()
    // Another host gets these at once, instead of after the ack wait.
    for (const { message } of this.#held.values()) message?.nak()
    this.#held.clear()
    const { fn, jsm, isConnected } = this.#options
    // A host that stood by must not take the place of the one that works.
    if (this.#pin !== "" && isConnected()) await unpin(jsm, fn.name, this.#pin).catch(() => undefined)
    this.#pin = ""
    this.#activeAt = Number.NEGATIVE_INFINITY
  }

  async #receive(message: JsMsg, signal: AbortSignal): Promise<void> {
    this.#pin = message.headers?.get("Nats-Pin-Id") || this.#pin
    const again = this.#held.get(message.seq)
    if (again !== undefined) {
      // The server lost patience while we were still at it; from now on this delivery counts.
      again.message = new Delivery(this.#options.connection, message)
      return
    }
    const { connection, fn, reader, metrics } = this.#options
    if (followsFleet(fn)) this.#beActive()
    metrics.received(fn.name)
    const held: Held = {
      sequence: message.seq,
      outstanding: 0,
      message: new Delivery(connection, message),
      woken: wokenBy(message),
      settle: () => {
        this.#held.delete(held.sequence)
        if (held.message !== undefined) this.#options.acks.ack(held.message)
      }
    }
    this.#held.set(message.seq, held)
    const received = this.#targets.read(message)
    if (received._tag === "Direct") {
      this.#wake(received.targets, held)
      return
    }
    await reader.reached(message.seq)
    if (signal.aborted) return
    metrics.lag(fn.name, (held.woken?.at ?? 0) === 0 ? 0 : Date.now() - held.woken!.at)
    this.#wake(this.#targets.ofEvent(received.event, message), held)
  }

  #wake(targets: ReadonlyArray<Target>, cause: Held): void {
    // One event may name an object twice, by two triggers.
    const byKey = new Map(targets.map((target) => [targetKey(target), target]))
    cause.outstanding = byKey.size
    if (byKey.size === 0) cause.settle()
    for (const [key, target] of byKey) this.#work.wake(key, target, cause)
  }

  get #isActive(): boolean {
    return performance.now() - this.#activeAt < activeForMillis
  }

  /** The server gives us what is there to do: what the fleet has come to meanwhile nobody else has looked at. */
  #beActive(): void {
    const was = this.#isActive
    this.#activeAt = performance.now()
    const { fleet } = this.#options.services
    if (was || fleet === undefined) return
    this.#wake(this.#targets.allOfFleet(fleet.state), fromFleet(undefined))
  }

  /** Something happened in the fleet. Every host hears of it, the active one acts. */
  #happened(event: FleetEvent, traceparent: string | undefined): void {
    const { fleet } = this.#options.services
    if (fleet === undefined || !this.#isActive) return
    this.#wake(this.#targets.ofFleet(event, fleet.state), fromFleet(traceparent))
  }

  #sayProgress(): void {
    const before = performance.now() - silentMillis
    for (const { message } of this.#held.values()) {
      if (message !== undefined && message.saidAt <= before) message.working()
    }
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
