import type { Held } from "./held.ts"
import type { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { ownAddress } from "./peers.ts"
import type { Surroundings } from "./surroundings.ts"

const lookMillis = 250

interface Leaving {
  /** The node that is to have it. */
  readonly to: string
  readonly reason: string
  readonly since: number
}

/**
 * Addresses that are to be another node's, which is not heard on the link, though others are: the LAN is split, and on
 * this side nobody else would answer for them. They stay until that node is heard.
 */
export class OutOfReach {
  readonly #around: Surroundings
  readonly #holder: Holder
  readonly #release: (held: Held, reason: string) => Promise<void>
  readonly #leaving = new Map<Held, Leaving>()
  /** Link and node → the question whether it is heard there */
  readonly #asking = new Map<string, Promise<boolean>>()
  #lookedAt = Number.NEGATIVE_INFINITY

  constructor(around: Surroundings, holder: Holder, release: (held: Held, reason: string) => Promise<void>) {
    this.#around = around
    this.#holder = holder
    this.#release = release
  }

  /** Whether the address stays for now, though it is to be another node's (`to`), or nobody's. */
  async keeps(held: Held, to: string | undefined, reason: string): Promise<boolean> {
    this.#leaving.delete(held)
    const lan = this.#around.lan(held.index)
    if (to === undefined || lan === undefined) return false
    const key = `${held.index} ${to}`
    // Where nobody can be asked, it is this node that is cut off.
    const asking = this.#asking.get(key) ?? this.#isHeard(to, lan).catch(() => true)
    this.#asking.set(key, asking)
    const isHeard = await asking.finally(() => this.#asking.delete(key))
    if (isHeard || !this.#holder.table.has(held)) return false
    if (![...this.#leaving.values()].some((other) => other.to === to)) {
      const message = `${to} is not heard on ${lan.name}, though others are: keeping what it is to have`
      this.#around.say({ _tag: "Trouble", message })
    }
    this.#leaving.set(held, { to, reason, since: performance.now() })
    return true
  }

  /** It is to be here after all. */
  stays(held: Held | undefined): void {
    if (held !== undefined) this.#leaving.delete(held)
  }

  /** To be called often: lets go of what its new holder has been heard for. */
  look(): void {
    const now = performance.now()
    if (this.#leaving.size === 0 || now - this.#lookedAt < lookMillis) return
    this.#lookedAt = now
    const asked = new Set<string>()
    for (const [held, { to, reason, since }] of this.#leaving) {
      const lan = this.#around.lan(held.index)
      if (lan !== undefined && this.#holder.table.has(held) && this.#heardAt(to, lan) < since) {
        const key = `${held.index} ${to}`
        if (!asked.has(key)) this.#askOne(to, lan)
        asked.add(key)
        continue
      }
      this.#leaving.delete(held)
      if (this.#holder.table.has(held)) {
        void this.#release(held, reason).then(() => this.#around.wake(held.claim))
      }
    }
  }

  /** Whether the node can be heard on the link. Where nobody is heard, it is this node that is cut off: then it counts as heard. */
  async #isHeard(to: string, lan: Lan): Promise<boolean> {
    const { peers, times } = this.#around
    const since = performance.now()
    const heardAt = this.#heardAt(to, lan)
    // Never heard there: it is on another network, and nothing can be said of it.
    const isFar = heardAt === Number.NEGATIVE_INFINITY || this.#ownOf(to).length === 0
    if (isFar || since - heardAt < 2 * times.answerMillis) return true
    const everybody = [...peers.entries()].flatMap(([node]) => this.#ownOf(node))
    await lan.askMachines(everybody, { probes: times.probes, gapMillis: times.probeGapMillis * 2 })
    const macs = new Set(peers.linksOf(to).map(({ mac }) => mac))
    return this.#heardAt(to, lan) >= since || lan.othersHeardAt(macs) < since
  }

  #heardAt(node: string, lan: Lan): number {
    return Math.max(
      Number.NEGATIVE_INFINITY,
      ...this.#around.peers.linksOf(node).map(({ mac }) => lan.heardAt(mac))
    )
  }

  #ownOf(node: string): ReadonlyArray<string> {
    return this.#around.peers
      .linksOf(node)
      .flatMap((link) => [ownAddress(link, 4), ownAddress(link, 6)])
      .filter((address) => address !== undefined)
  }

  #askOne(node: string, lan: Lan): void {
    for (const { mac } of this.#around.peers.linksOf(node)) lan.askMachine(this.#ownOf(node), mac)
  }
}
