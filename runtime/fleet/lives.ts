import { setTimeout as delay } from "node:timers/promises"
import type { JetStreamManager } from "@nats-io/jetstream"
import { makeFleet, readLife } from "../nats/streams.ts"

/** What the fleet is told by. What is held comes before what is said about it. */
export const streams = ["KV_nodes", "KV_assignments", "NODE"] as const
export type FleetStream = (typeof streams)[number]

/** As far as a stream has come, to our knowledge. */
interface Known {
  readonly created: string
  /** Of the newest message that was read. */
  position: number
  /** Of the newest message that is certainly stored. */
  stored: number
}

/** The present lives of the three streams: whether they are what they were when they were read. */
export class StreamLives {
  readonly #jsm: JetStreamManager
  readonly #known = new Map<FleetStream, Known>()
  #reaching: Array<{
    readonly stream: FleetStream
    readonly sequence: number
    readonly resolve: () => void
  }> = []

  constructor(jsm: JetStreamManager) {
    this.#jsm = jsm
  }

  /** From now on it is about the streams as they are. Those that are not there are made. */
  async begin(): Promise<void> {
    this.#known.clear()
    for (const stream of streams) {
      const life = (await readLife(this.#jsm, stream)) ?? (await this.#make(stream))
      this.#known.set(stream, { created: life.created, position: 0, stored: 0 })
    }
  }

  /** Says what has become of the streams since; `undefined` when they are what they were. */
  async lossOf(only: ReadonlyArray<FleetStream>): Promise<string | undefined> {
    for (const stream of only) {
      const known = this.#known.get(stream)
      // As we know it now: while the answer is on its way, the stream and we go on.
      const stored = known?.stored ?? 0
      const now = await readLife(this.#jsm, stream)
      if (now === undefined) return `the stream ${stream} is gone`
      if (now.created !== known?.created) return `the stream ${stream} is another one`
      if (now.lastSequence < stored) return `the stream ${stream} went back in time`
    }
    return undefined
  }

  /** This message was read. */
  read(stream: FleetStream, sequence: number): void {
    const known = this.#known.get(stream)
    if (known === undefined || sequence <= known.position) return
    known.position = sequence
    known.stored = Math.max(known.stored, sequence)
    if (this.#reaching.length === 0) return
    const isDue = (one: { readonly stream: FleetStream; readonly sequence: number }) =>
      one.stream === stream && one.sequence <= sequence
    const due = this.#reaching.filter(isDue)
    this.#reaching = this.#reaching.filter((one) => !isDue(one))
    for (const { resolve } of due) resolve()
  }

  /** This message was acknowledged to us. */
  stored(stream: FleetStream, sequence: number): void {
    const known = this.#known.get(stream)
    if (known !== undefined) known.stored = Math.max(known.stored, sequence)
  }

  /** Resolves when this message has been read, or after so many milliseconds. */
  async reached(stream: FleetStream, sequence: number, millis: number): Promise<void> {
    if (sequence <= (this.#known.get(stream)?.position ?? 0)) return
    const stop = new AbortController()
    await Promise.race([
      new Promise<void>((resolve) => this.#reaching.push({ stream, sequence, resolve })),
      delay(millis, undefined, { signal: stop.signal }).catch(() => undefined)
    ])
    stop.abort()
  }

  async #make(stream: FleetStream) {
    await makeFleet(this.#jsm)
    const made = await readLife(this.#jsm, stream)
    if (made === undefined) throw new Error(`the stream ${stream} vanished right after it was made`)
    return made
  }
}
