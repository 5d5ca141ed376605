import { setTimeout as delay, setImmediate as turn } from "node:timers/promises"
import type { FleetLink } from "../Fleet.ts"
import { announceFrames, type Heard, parseFrame, probeFrame, type Signature } from "./kernel/frames.ts"
import { PacketSocket } from "./kernel/packets.ts"
import type { Poller } from "./kernel/poller.ts"
import { sourceFor } from "./source.ts"

export interface LanOptions {
  readonly index: number
  readonly link: Pick<FleetLink, "name" | "mac">
  readonly poller: Poller
  readonly hear: (heard: Heard, lan: Lan) => void
  /** Another link of this node, on the same network, is not somebody else. */
  readonly isOwn: (mac: string) => boolean
}

export interface AskOptions {
  readonly probes: number
  readonly gapMillis: number
  /** What this node says of itself while it asks. */
  readonly signature?: (address: string) => Signature
}

/** So many frames go out at once; the socket's buffer takes a few hundred. */
const framesAtOnce = 200
/** A storm of frames must not keep us from renewing what we hold: the rest is read in the next turn. */
const framesInOneTurn = 2_000
/** Machines of a LAN that are remembered, those that were silent longest are forgotten first. */
const rememberedMacs = 4_096

/** The network could not be asked: that nobody answered means nothing. */
export class NotAsked extends Error {
  override readonly name = "NotAsked"
}

/** One link of this node, as a place to ask and to announce. */
export class Lan {
  readonly index: number
  readonly name: string
  readonly mac: string
  /** The addresses that the link has by itself, with their prefixes: what neighbours are asked from. */
  own: ReadonlyArray<string> = []
  readonly #socket: PacketSocket
  readonly #hear: LanOptions["hear"]
  readonly #isOwn: LanOptions["isOwn"]
  #isClosed = false
  readonly #unwatch: ReadonlyArray<() => void>
  /** MAC → when a frame of it came in last */
  readonly #heardAt = new Map<string, number>()
  /** Address → what was heard of it while it is being asked for */
  readonly #asked = new Map<string, Set<Array<Heard>>>()

  constructor(options: LanOptions) {
    this.index = options.index
    this.name = options.link.name
    this.mac = options.link.mac
    this.#hear = options.hear
    this.#isOwn = options.isOwn
    this.#socket = PacketSocket.open(options.index)
    this.#unwatch = this.#socket.fds.map((fd) => options.poller.add(fd, () => this.drain(framesInOneTurn)))
  }

  /** Takes in every frame that has come so far. */
  drain(most?: number): void {
    if (this.#isClosed) return
    const now = performance.now()
    this.#socket.receive((frame) => {
      const heard = parseFrame(frame, this.mac)
      if (heard === undefined || this.#isOwn(heard.mac)) return
      this.#heardAt.delete(heard.mac)
      this.#heardAt.set(heard.mac, now)
      if (this.#heardAt.size > rememberedMacs) this.#forgetOldest()
      for (const answers of this.#asked.get(heard.address) ?? []) answers.push(heard)
      this.#hear(heard, this)
    }, most)
  }

  #forgetOldest(): void {
    for (const oldest of this.#heardAt.keys()) {
      this.#heardAt.delete(oldest)
      return
    }
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
  ask(
    addresses: ReadonlyArray<string>,
    { signature, ...often }: AskOptions
  ): Promise<ReadonlyMap<string, ReadonlyArray<Heard>>> {
    return this.#ask(addresses, often, (address) =>
      probeFrame(address, this.mac, undefined, signature?.(address))
    )
  }

  /** Asks everybody for addresses that machines have by themselves, several times. Who is there has been heard then. */
  async askMachines(own: ReadonlyArray<string>, often: Omit<AskOptions, "signature">): Promise<void> {
    const others = own.filter((address) => !this.own.some((one) => one.split("/")[0] === address))
    await this.#ask(others, often, (address) => this.#toNeighbour(address, undefined))
  }

  /**
   * A machine may be just about to take an address of its own: it would give it up if it were asked for that by a probe,
   * as one asks for what one wants to have. A link without an address from which the machine would answer asks by a probe
   * all the same: on such a LAN there is no other sign that the machine is alive.
   */
  #toNeighbour(address: string, mac: string | undefined): Buffer {
    return probeFrame(address, this.mac, mac, undefined, sourceFor(this.own, address))
  }

  async #ask(
    all: ReadonlyArray<string>,
    { probes, gapMillis }: Omit<AskOptions, "signature">,
    question: (address: string) => Buffer
  ): Promise<ReadonlyMap<string, ReadonlyArray<Heard>>> {
    // Machines may have the same one: what is listened for twice would be forgotten once.
    const addresses = [...new Set(all)]
    const answers = new Map<string, Array<Heard>>()
    const asked = new Set<string>()
    for (const address of addresses) {
      const heard: Array<Heard> = []
      answers.set(address, heard)
      const askers = this.#asked.get(address)
      if (askers === undefined) this.#asked.set(address, new Set([heard]))
      else askers.add(heard)
    }
    try {
      for (let probe = 0; probe < probes; probe++) {
        const sentAt = performance.now()
        for (let at = 0; at < addresses.length; at += framesAtOnce) {
          const chunk = addresses.slice(at, at + framesAtOnce)
          if (this.#isClosed) throw new NotAsked(`${this.name} is gone`)
          const sent = this.#socket.send(chunk.map(question))
          for (const address of chunk.slice(0, sent)) asked.add(address)
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
      if (this.#isClosed) throw new NotAsked(`${this.name} is gone`)
      if (asked.size < answers.size) throw new NotAsked(`${this.name} did not take the questions`)
    } finally {
      for (const [address, heard] of answers) {
        const askers = this.#asked.get(address)
        askers?.delete(heard)
        if (askers?.size === 0) this.#asked.delete(address)
      }
    }
    for (const [address, heard] of answers) if (heard.length === 0) answers.delete(address)
    return answers
  }

  /** Asks one machine for addresses that it holds, once; answers come by `hear`. */
  askOne(addresses: ReadonlyArray<string>, mac: string): void {
    if (this.#isClosed) return
    const isIpv6 = (address: string) => address.includes(":")
    // Answered to us alone, where a probe from `::` is answered to all.
    const source = (address: string) => (isIpv6(address) ? sourceFor(this.own, address) : undefined)
    this.#socket.send(
      addresses.map((address) => probeFrame(address, this.mac, mac, undefined, source(address)))
    )
  }

  /** Asks one machine for addresses that it has by itself, once; answers come by `hear`. */
  askMachine(own: ReadonlyArray<string>, mac: string): void {
    if (!this.#isClosed) this.#socket.send(own.map((address) => this.#toNeighbour(address, mac)))
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
    this.#isClosed = true
    for (const unwatch of this.#unwatch) unwatch()
    this.#socket.close()
  }
}
