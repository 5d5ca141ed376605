import { setTimeout as delay } from "node:timers/promises"
import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from "@nats-io/jetstream"
import type { FunctionDefinition } from "../Function.ts"
import { Acks } from "./acks.ts"
import { ackWaitMillis, consume, ensureConsumer, markWoken, unpin } from "./consumer.ts"
import type { HostMetrics } from "./metrics.ts"
import { park } from "./parked.ts"
import type { Hydrated, Reader } from "./reader.ts"
import { describeTarget, type RunServices, runOnce, type Target, targetKey, type Woken } from "./run.ts"
import { Targets, wokenBy } from "./targets.ts"
import { type Cause, type RunResult, Work } from "./work.ts"

/** How often the lag is looked at. */
const lookMillis = 5_000

export interface WorkerOptions {
  readonly fn: FunctionDefinition<any>
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly reader: Pick<Reader, "reached">
  readonly services: RunServices
  readonly metrics: HostMetrics
  readonly concurrency: number
  readonly say: (news: WorkerNews) => void
}

export type WorkerNews =
  | {
      readonly _tag: "Again"
      readonly function: string
      readonly object: string
      readonly cause: string
      readonly attempt: number
    }
  | { readonly _tag: "Rejected"; readonly function: string; readonly object: string; readonly cause: string }
  | { readonly _tag: "Parked"; readonly function: string; readonly object: string; readonly cause: string }
  | { readonly _tag: "Done"; readonly function: string; readonly object: string; readonly decision: string }
  | { readonly _tag: "Trouble"; readonly function: string; readonly message: string }

/** An event that was received, until all that it woke is done. */
interface Held extends Cause {
  message: JsMsg | undefined
  readonly woken: Woken | undefined
}

/** Runs one function: receives its events, keeps them until what they woke is done, and acknowledges them then. */
export class Worker {
  readonly #options: WorkerOptions
  /** One for each life of the log: what was not done in the one before is woken again by the next. */
  #work: Work<Target>
  /** Sequence in the log → event that is not acknowledged yet */
  readonly #held = new Map<number, Held>()
  readonly #targets: Targets
  readonly #acks = new Acks()
  #messages: ConsumerMessages | undefined
  /** What the server called us when it made us the active host; empty for one that stands by. */
  #pin = ""

  constructor(options: WorkerOptions) {
    this.#options = options
    this.#targets = new Targets(options.fn, options.services.view)
    this.#work = this.#newWork()
  }

  #newWork(): Work<Target> {
    const { concurrency, fn } = this.#options
    return new Work<Target>({
      concurrency,
      debounceMillis: fn.debounceMillis,
      run: (_key, target, causes, attempt) => this.#run(target, causes as ReadonlyArray<Held>, attempt)
    })
  }

  get name(): string {
    return this.#options.fn.name
  }

  get retrying(): number {
    return this.#work.retrying
  }

  get held(): number {
    return this.#held.size
  }

  /** Works until the log's life ends or the host stops; then hands back what it has not done. */
  async live(hydrated: Hydrated): Promise<void> {
    const { fn, js, jsm, say } = this.#options
    const signal = hydrated.lost
    this.#work = this.#newWork()
    const progress = setInterval(() => this.#sayProgress(), ackWaitMillis / 3)
    const looks = setInterval(() => void this.#look(), lookMillis)
    void this.#look()
    try {
      while (!signal.aborted) {
        try {
          const { wakeAll } = await ensureConsumer(jsm, fn, hydrated)
          this.#messages = await consume(js, fn.name, (message) => void this.#receive(message, signal))
          const ended = this.#messages.closed()
          if (wakeAll) {
            const settle = () => {
              if (!signal.aborted) markWoken(jsm, fn.name, hydrated.created).catch(() => undefined)
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
        this.#messages?.stop()
        await delay(250, undefined, { signal }).catch(() => undefined)
      }
    } finally {
      clearInterval(progress)
      clearInterval(looks)
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
    const working = setInterval(() => this.#sayProgress(), ackWaitMillis / 3)
    await this.#work.stop()
    clearInterval(working)
    this.#acks.flush()
    // Another host gets these at once, instead of after the ack wait.
    for (const { message } of this.#held.values()) message?.nak()
    this.#held.clear()
    const { fn, jsm } = this.#options
    // A host that stood by must not take the place of the one that works.
    if (this.#pin !== "") await unpin(jsm, fn.name, this.#pin).catch(() => undefined)
    this.#pin = ""
  }

  async #receive(message: JsMsg, signal: AbortSignal): Promise<void> {
    this.#pin = message.headers?.get("Nats-Pin-Id") || this.#pin
    const again = this.#held.get(message.seq)
    if (again !== undefined) {
      // The server lost patience while we were still at it; from now on this delivery counts.
      again.message = message
      return
    }
    const { fn, reader, metrics } = this.#options
    metrics.received(fn.name)
    const held: Held = {
      sequence: message.seq,
      outstanding: 0,
      message,
      woken: wokenBy(message),
      settle: () => {
        this.#held.delete(held.sequence)
        if (held.message !== undefined) this.#acks.ack(held.message)
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

  async #run(target: Target, causes: ReadonlyArray<Held>, attempt: number): Promise<RunResult> {
    const { fn, services, metrics, say } = this.#options
    const woken = causes.findLast((cause) => cause.woken !== undefined)?.woken
    const started = performance.now()
    const ended = await runOnce(fn, target, attempt, woken, services)
    metrics.ended(fn.name, ended._tag, (performance.now() - started) / 1000)
    const what = { function: fn.name, object: describeTarget(target) }
    switch (ended._tag) {
      case "Again":
        if (ended.cause !== "interrupted") {
          metrics.again(fn.name)
          say({ _tag: "Again", ...what, cause: ended.cause, attempt })
        }
        return ended
      case "Park":
        return await this.#park(target, ended.cause, attempt, ended.span.traceId)
      case "Rejected":
        say({ _tag: "Rejected", ...what, cause: ended.cause })
        return { _tag: "Settled" }
      case "Done":
        if (ended.decision !== undefined) {
          if (woken !== undefined && woken.at > 0) metrics.reacted(fn.name, Date.now() - woken.at)
          say({ _tag: "Done", ...what, decision: ended.decision })
        }
        return { _tag: "Settled" }
      default:
        return { _tag: "Settled" }
    }
  }

  async #park(target: Target, cause: string, attempts: number, traceId: string): Promise<RunResult> {
    const { fn, js, metrics, say } = this.#options
    try {
      await park(js, fn.name, target, { cause, attempts, traceId })
    } catch {
      return { _tag: "Again", afterMillis: 5_000 }
    }
    metrics.parked(fn.name)
    say({ _tag: "Parked", function: fn.name, object: describeTarget(target), cause })
    return { _tag: "Settled" }
  }

  #sayProgress(): void {
    for (const held of this.#held.values()) held.message?.working()
  }
}

const aborted = (signal: AbortSignal): Promise<void> =>
  signal.aborted
    ? Promise.resolve()
    : new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }))
