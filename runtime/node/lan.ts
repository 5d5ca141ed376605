import { setTimeout as delay, setImmediate as turn } from "node:timers/promises"
import type { FleetLink } from "../Fleet.ts"
import { announceFrames, type Heard, parseFrame, probeFrame, type Signature } from "./kernel/frames.ts"
import { PacketSocket } from "./kernel/packets.ts"
import type { Poller } from "./kernel/poller.ts"

export interface LanOptions {
  readonly index: number
  readonly link: Pick<FleetLink, "name" | "mac">
  /** The link's own IPv6 link-local address: what unicast probes for IPv6 are sent from. */
  readonly linkLocal: string | undefined
  readonly poller: Poller
  readonly hear: (heard: Heard, lan: Lan) => void
}

export interface AskOptions {
  readonly probes: number
  readonly gapMillis: number
  /** What this node says of itself while it asks. */
  readonly signature?: (address: string) => Signature
}

/** So many frames go out at once; the socket's buffer takes a few hundred. */
const framesAtOnce = 200

/** One link of this node, as a place to ask and to announce. */
export class Lan {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly linkLocal: string | undefined
  readonly #socket: PacketSocket
  readonly #hear: LanOptions["hear"]
  readonly #unwatch: ReadonlyArray<() => void>
  /** MAC → when a frame of it came in last */
  readonly #heardAt = new Map<string, number>()
  /** Address → what was heard of it while it is being asked for */
  readonly #asked = new Map<string, Set<Array<Heard>>>()

  constructor(options: LanOptions) {
    this.index = options.index
    this.name = options.link.name
    this.mac = options.link.mac
    this.linkLocal = options.linkLocal
    this.#hear = options.hear
    this.#socket = PacketSocket.open(options.index)
    this.#unwatch = this.#socket.fds.map((fd) => options.poller.add(fd, () => this.drain()))
  }

  /** Takes in every frame that has come so far. */
  drain(): void {
    const now = performance.now()
    this.#socket.receive((frame) => {
      const heard = parseFrame(frame, this.mac)
      if (heard === undefined) return
      this.#heardAt.set(heard.mac, now)
      for (const answers of this.#asked.get(heard.address) ?? []) answers.push(heard)
      this.#hear(heard, this)
    })
  }

  /** When this MAC was heard last, on the monotonic clock; −∞ for never. */
  heardAt(mac: string): number {
    return this.#heardAt.get(mac) ?? Number.NEGATIVE_INFINITY
  }

  /** When anybody was heard last, but for these MACs. */
  othersHeardAt(but: ReadonlySet<string>): number {
    let latest = Number.NEGATIVE_INFINITY
    for (const [mac, at] of this.#heardAt) if (at > latest && !but.has(mac)) latest = at
    return latest
  }

  /**
   * Asks everybody for addresses, several times, and returns what was heard of each, by address: who has it, and who
   * else asks for it. Addresses of which nothing was heard are absent.
   */
  async ask(
    addresses: ReadonlyArray<string>,
    { probes, gapMillis, signature }: AskOptions
  ): Promise<ReadonlyMap<string, ReadonlyArray<Heard>>> {
    const answers = new Map<string, Array<Heard>>()
    for (const address of addresses) {
      const heard: Array<Heard> = []
      answers.set(address, heard)
      const asked = this.#asked.get(address)
      if (asked === undefined) this.#asked.set(address, new Set([heard]))
      else asked.add(heard)
    }
    try {
      for (let probe = 0; probe < probes; probe++) {
        const sentAt = performance.now()
        for (let at = 0; at < addresses.length; at += framesAtOnce) {
          const chunk = addresses.slice(at, at + framesAtOnce)
          this.#socket.send(
            chunk.map((address) => probeFrame(address, this.mac, undefined, signature?.(address)))
          )
          if (at + framesAtOnce >= addresses.length) continue
          // Thousands of frames take longer than anything else of ours may wait.
          await turn()
          this.drain()
        }
        const isLast = probe === probes - 1
        await delay(isLast ? gapMillis : Math.max(1, gapMillis - (performance.now() - sentAt)))
      }
      // What lies in the socket came in time, however late we look.
      this.drain()
    } finally {
      for (const [address, heard] of answers) {
        const asked = this.#asked.get(address)
        asked?.delete(heard)
        if (asked?.size === 0) this.#asked.delete(address)
      }
    }
    for (const [address, heard] of answers) if (heard.length === 0) answers.delete(address)
    return answers
  }

  /** Asks one machine for addresses, once; answers come by `hear`. */
  askOne(addresses: ReadonlyArray<string>, mac: string): void {
    this.#socket.send(
      addresses.map((address) => probeFrame(address, this.mac, mac, undefined, this.linkLocal))
    )
  }

  /** Tells everybody that the addresses are here. */
  announce(addresses: ReadonlyArray<{ readonly address: string; readonly signature: Signature }>): void {
    this.#socket.send(
      addresses.flatMap(({ address, signature }) => announceFrames(address, this.mac, signature))
    )
  }

  /** Tells everybody who listens for it, and no neighbour cache, that the addresses are here no more. */
  farewell(addresses: ReadonlyArray<{ readonly address: string; readonly signature: Signature }>): void {
    for (let at = 0; at < addresses.length; at += framesAtOnce) {
      const chunk = addresses.slice(at, at + framesAtOnce)
      this.#socket.send(
        chunk.map(({ address, signature }) => probeFrame(address, this.mac, undefined, signature))
      )
    }
  }

  close(): void {
    for (const unwatch of this.#unwatch) unwatch()
    this.#socket.close()
  }
}
