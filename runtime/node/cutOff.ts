import type { Held } from "./held.ts"
import type { Holder } from "./holder.ts"
import { ownAddress } from "./peers.ts"
import type { Surroundings } from "./surroundings.ts"

const lookMillis = 250

interface Stake {
  readonly node: string
  readonly index: number
  readonly helds: ReadonlyArray<Held>
}

/**
 * Notices when this node and another one have not heard each other for a while: each may have taken the other for
 * lost. When they hear each other again, what both may hold is settled at once.
 */
export class CutOff {
  readonly #around: Surroundings
  readonly #holder: Holder
  /** Nodes that were not heard for a while, and have been asked: their hosts may be there without their runtimes. */
  readonly #asked = new Set<string>()
  /** Those that have not answered either. */
  readonly #apart = new Set<string>()
  #timer: ReturnType<typeof setInterval>

  constructor(around: Surroundings, holder: Holder) {
    this.#around = around
    this.#holder = holder
    this.#timer = setInterval(() => this.#look(), lookMillis)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** By link and node: what it stands by for there, or was taken from it. A LAN may be split while another is not. */
  #stakes(): ReadonlyMap<string, Stake> {
    const stakes = new Map<
      string,
      { readonly node: string; readonly index: number; readonly helds: Array<Held> }
    >()
    for (const held of this.#holder.table) {
      const assignment = this.#around.assignmentOf(held.claim)
      const other = held.taken ? assignment?.holder : assignment?.standby
      if (other === undefined) continue
      const key = `${held.index} ${other}`
      const of = stakes.get(key)
      if (of === undefined) stakes.set(key, { node: other, index: held.index, helds: [held] })
      else of.helds.push(held)
    }
    return stakes
  }

  #look(): void {
    const { peers, times, lan: lanOf } = this.#around
    const now = performance.now()
    const stakes = this.#stakes()
    for (const known of [this.#asked, this.#apart])
      for (const key of known) if (!stakes.has(key)) known.delete(key)
    for (const [key, { node, index, helds }] of stakes) {
      const lan = lanOf(index)
      if (lan === undefined) continue
      const links = peers.linksOf(node)
      const heardAt = Math.max(...links.map(({ mac }) => lan.heardAt(mac)))
      if (now - heardAt < times.apartMillis) {
        this.#asked.delete(key)
        if (this.#apart.delete(key)) void this.#holder.verify(helds)
        continue
      }
      if (this.#asked.has(key)) this.#apart.add(key)
      this.#asked.add(key)
      for (const link of links) {
        const own = [ownAddress(link, 4), ownAddress(link, 6)].filter((address) => address !== undefined)
        if (own.length > 0) lan.askMachine(own, link.mac)
      }
    }
  }
}
