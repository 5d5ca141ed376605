import type { Cables, Side } from "../../../infra/local/cables.ts"
import type { Frame, ObserverQuestions, Pinged } from "./questions.ts"
import { nowMillis, Remote } from "./remote.ts"

export type { Frame, Pinged } from "./questions.ts"

export interface WatchOptions {
  /** ICMP echo by the client's kernel; 10 by default, 0: none. */
  readonly pingEveryMillis?: number
  /** ARP requests (neighbour solicitations) to all on side a; none by default. */
  readonly askEveryMillis?: number
}

/** From the first to the last answer of a machine that answers for an address. */
export interface Tenure {
  readonly mac: string
  readonly first: number
  readonly last: number
  readonly answers: number
}

/**
 * Sees every frame on the LAN, asks who has an address, and pings. A process of its own: a test that is busy misses
 * nothing.
 */
export class Observer {
  readonly #remote: Remote<ObserverQuestions>

  constructor(cables: Cables) {
    const client = `/proc/${cables.host("client").namespace.pid}/ns/net`
    this.#remote = new Remote(cables.namespaces, cables.switch, "observer", [client])
  }

  /** This moment, for `since`. */
  mark(): number {
    return nowMillis()
  }

  /** From now on each of them is pinged; an address that is watched already, in this way instead. */
  async watch(addresses: ReadonlyArray<string>, options: WatchOptions = {}): Promise<void> {
    const { pingEveryMillis = 10, askEveryMillis = 0 } = options
    await this.#remote.ask("watch", { addresses, pingEveryMillis, askEveryMillis })
  }

  async unwatch(addresses: ReadonlyArray<string>): Promise<void> {
    await this.#remote.ask("unwatch", { addresses })
  }

  /** Asks all on that side of the LAN who has the addresses: address → each MAC that answers. */
  async ask(
    addresses: ReadonlyArray<string>,
    side: Side = "a",
    waitMillis = 200
  ): Promise<ReadonlyMap<string, ReadonlyArray<string>>> {
    return new Map(await this.#remote.ask("ask", { addresses, side, waitMillis }))
  }

  /** Every frame about the address since then, in order. */
  async framesOf(address: string, since = 0): Promise<ReadonlyArray<Frame>> {
    const [frames] = await this.#remote.ask("frames", { addresses: [address], since })
    return frames!
  }

  /** The frames with which it was announced, a gratuitous ARP for one, or a question of its holder for another address. */
  async announcementsOf(address: string, since = 0): Promise<ReadonlyArray<Frame>> {
    return (await this.framesOf(address, since)).filter(({ what }) => what === "says")
  }

  /** Who has answered the observer's questions for it, in the order in which they first did. */
  async answersOf(address: string, since = 0): Promise<ReadonlyArray<Tenure>> {
    const tenures = new Map<string, Tenure>()
    for (const { what, mac, at } of await this.framesOf(address, since)) {
      if (what !== "answer") continue
      const known = tenures.get(mac)
      const first = known?.first ?? at
      tenures.set(mac, { mac, first, last: at, answers: (known?.answers ?? 0) + 1 })
    }
    return [...tenures.values()]
  }

  /** How it has answered the pings since then. */
  async pings(address: string, since = 0): Promise<Pinged> {
    return (await this.pingsOf([address], since)).get(address)!
  }

  async pingsOf(addresses: ReadonlyArray<string>, since = 0): Promise<ReadonlyMap<string, Pinged>> {
    return await this.#pinged("ping", addresses, since)
  }

  /** The same of the ARP requests of `askEveryMillis`, whoever answered them. */
  async asksOf(addresses: ReadonlyArray<string>, since = 0): Promise<ReadonlyMap<string, Pinged>> {
    return await this.#pinged("ask", addresses, since)
  }

  /** Frames seen so far, and lost: with any lost, nothing is proved by what was not seen. */
  async seen(): Promise<{ readonly frames: number; readonly lost: number }> {
    return await this.#remote.ask("seen", null)
  }

  /** Fails when it has missed a frame. */
  async expectNothingLost(): Promise<void> {
    const { frames, lost } = await this.seen()
    if (lost > 0) throw new Error(`the observer has lost ${lost} of ${frames + lost} frames`)
  }

  /** Makes it sleep, with so little room for frames: for the test that it notices. */
  async sleep(millis: number, roomBytes: number): Promise<void> {
    await this.#remote.ask("sleep", { millis, roomBytes })
  }

  end(): void {
    this.#remote.end()
  }

  async #pinged(by: "ping" | "ask", addresses: ReadonlyArray<string>, since: number) {
    const answers = await this.#remote.ask("pinged", { by, addresses, since })
    return new Map(addresses.map((address, index) => [address, answers[index]!]))
  }
}
