import { setTimeout as delay } from "node:timers/promises"
import { JetStreamApiError, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream"
import { headers } from "@nats-io/transport-node"
import { Deposed } from "./publisher.ts"

export interface LeaseOptions {
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  /** Who we are; unique per process. */
  readonly holder: string
  /** How long the bucket keeps the lease without renewal. Whole seconds: NATS knows no finer TTL. */
  readonly seconds: number
  /** Makes the bucket, where it is not there. Idempotent. */
  readonly ensureBucket: () => Promise<void>
}

const subject = "$KV.bridge.active"
const wrongLastSequence = 10071

/**
 * The key `active` in the bucket `bridge`: one bridge holds it, the others wait. It is held by publishing over our
 * own last revision, so a holder that slept too long is refused instead of coming back.
 */
export class Lease {
  readonly #options: LeaseOptions
  #revision = 0
  #validUntil = 0

  constructor(options: LeaseOptions) {
    this.#options = options
  }

  /** By our own clock, which does not run while we are frozen with the machine: the server has the last word. */
  get isHeld(): boolean {
    return performance.now() < this.#validUntil
  }

  /** Waits until the lease is ours; `isOthers` is told once when it is another bridge's. */
  async acquire(signal: AbortSignal, isOthers: () => void): Promise<void> {
    for (let isSaid = false; ; ) {
      signal.throwIfAborted()
      try {
        const last = await this.#last()
        const free = last === null || last.data.length === 0 || last.string() === this.#options.holder
        if (free && (await this.#write(last?.seq ?? 0))) return
        if (!isSaid) isOthers()
        isSaid = true
      } catch {
        // NATS is away, or was wiped while we waited.
        await this.#options.ensureBucket().catch(() => undefined)
      }
      await delay(500 + 500 * Math.random(), undefined, { signal })
    }
  }

  /** Renews; takes it again when it has run out and nobody wanted it. @throws Deposed when another bridge holds it. */
  async renew(): Promise<void> {
    if (await this.#write(this.#revision)) return
    const last = await this.#last()
    if ((last === null || last.data.length === 0) && (await this.#write(last?.seq ?? 0))) return
    this.#validUntil = 0
    throw new Deposed("another bridge has become the active one")
  }

  /** Gives it back, so that the next bridge need not wait for its end. */
  async release(): Promise<void> {
    this.#validUntil = 0
    if (this.#revision === 0) return
    const h = headers()
    h.set("KV-Operation", "DEL")
    await this.#options.js
      .publish(subject, "", { headers: h, timeout: 1_000, expect: { lastSubjectSequence: this.#revision } })
      .catch(() => undefined)
  }

  #last() {
    return this.#options.jsm.direct.getMessage("KV_bridge", { last_by_subj: subject })
  }

  async #write(expected: number): Promise<boolean> {
    const { js, holder, seconds } = this.#options
    const asked = performance.now()
    try {
      const ack = await js.publish(subject, holder, {
        ttl: `${seconds}s`,
        timeout: 2_000,
        expect: { lastSubjectSequence: expected }
      })
      this.#revision = ack.seq
      // Counted from before the request, and a fifth short: ours ends before the server's does.
      this.#validUntil = asked + seconds * 800
      return true
    } catch (cause) {
      if (!(cause instanceof JetStreamApiError) || cause.code !== wrongLastSequence) throw cause
      // An earlier write of ours may be there, its acknowledgement lost.
      const last = await this.#last()
      if (last === null || last.string() !== holder) return false
      this.#revision = last.seq
      return last.seq === expected ? false : await this.#write(last.seq)
    }
  }
}
