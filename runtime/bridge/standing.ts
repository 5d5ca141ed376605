import { setTimeout as delay } from "node:timers/promises"
import type { JetStreamManager } from "@nats-io/jetstream"
import { type LogEnd, lossOf, missingBucket } from "../nats/streams.ts"
import type { Lease } from "./lease.ts"
import { Deposed, LogLost } from "./publisher.ts"

export interface StandingOptions {
  readonly jsm: JetStreamManager
  readonly lease: Pick<Lease, "isHeld" | "renew">
  readonly isConnected: () => boolean
  /** The end of the log as we know it now. */
  readonly end: () => LogEnd
  /** Ends every wait. */
  readonly signal: AbortSignal
  /** Told once that we may publish no more, and why. */
  readonly broken: (cause: Deposed | LogLost) => void
}

const retryMillis = 250
const connectedPollMillis = 50

/** Whether we may publish: we are connected, the log is the one that we knew, and the lease is ours. */
export class Standing {
  readonly #options: StandingOptions
  #isVerified = true
  #confirming: Promise<void> | undefined
  #disconnected = new AbortController()

  constructor(options: StandingOptions) {
    this.#options = options
  }

  /** As far as we know without asking. */
  get isSure(): boolean {
    return this.#isVerified && this.#options.lease.isHeld
  }

  /** Asks until there is an answer. Rejects with `Deposed` or `LogLost` when we may publish no more. */
  confirm(): Promise<void> {
    this.#confirming ??= this.#confirmUntilSure().finally(() => {
      this.#confirming = undefined
    })
    return this.#confirming
  }

  /** The connection was lost: what we know may be outdated, and what we have asked is not going to be answered. */
  lost(): void {
    this.#isVerified = false
    this.#disconnected.abort(new Error("the connection to NATS was lost"))
    this.#disconnected = new AbortController()
  }

  async #confirmUntilSure(): Promise<void> {
    const { signal, isConnected, broken } = this.#options
    for (;;) {
      signal.throwIfAborted()
      if (!isConnected()) {
        await delay(connectedPollMillis, undefined, { signal })
        continue
      }
      const done = new AbortController()
      try {
        await Promise.race([this.#ask(), rejected(this.#disconnected.signal, done.signal)])
        this.#isVerified = true
        return
      } catch (cause) {
        if (cause instanceof LogLost || cause instanceof Deposed) {
          broken(cause)
          throw cause
        }
        await delay(retryMillis, undefined, { signal })
      } finally {
        done.abort()
      }
    }
  }

  async #ask(): Promise<void> {
    const { jsm, lease, end } = this.#options
    // The end as it is now: what is published while we ask may not be in the answer.
    const loss = await lossOf(jsm, end())
    if (loss !== undefined) throw new LogLost(loss)
    const missing = await missingBucket(jsm)
    if (missing !== undefined) throw new LogLost(`the bucket ${missing} is gone`)
    await lease.renew()
  }
}

/** Rejects when the signal says so. Once it is done it listens no more: a connection may last for months. */
const rejected = (signal: AbortSignal, done: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true, signal: done })
  })
