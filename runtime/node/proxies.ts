import type { Lan } from "./lan.ts"
import { familyOf } from "./peers.ts"

const rememberedMillis = 60_000
/** Whoever was none may have become one: asked once for all that is in question at a moment. */
const trustedMillis = 1_000

/** Addresses that nobody may have: RFC 5737 and RFC 3849, documentation. */
const decoys = (family: 4 | 6): ReadonlyArray<string> => {
  const random = () => 1 + Math.floor(Math.random() * 254)
  return family === 4
    ? [`192.0.2.${random()}`, `198.51.100.${random()}`, `203.0.113.${random()}`]
    : [1, 2, 3].map((net) => `2001:db8:${net}::${random().toString(16)}`)
}

/**
 * Machines that answer for addresses that are not in use: ARP proxies. What they say of an address means nothing.
 */
export class Proxies {
  /** `link mac` → when it was found out, and what */
  readonly #known = new Map<string, { readonly at: number; readonly isProxy: boolean }>()
  readonly #found: (link: string, mac: string) => void

  constructor(found: (link: string, mac: string) => void) {
    this.#found = found
  }

  /** Of these MACs, those that are no proxies. Asks for addresses that nobody has, where it is not known yet. */
  async without(lan: Lan, macs: ReadonlySet<string>, address: string): Promise<ReadonlySet<string>> {
    const now = performance.now()
    const key = (mac: string) => `${lan.index} ${mac} ${familyOf(address)}`
    const isKnown = (mac: string) => {
      const known = this.#known.get(key(mac))
      return known !== undefined && now - known.at < (known.isProxy ? rememberedMillis : trustedMillis)
    }
    if ([...macs].some((mac) => !isKnown(mac))) {
      const answers = await lan.ask(decoys(familyOf(address)), { probes: 2, gapMillis: 30 })
      for (const mac of macs) {
        const answered = [...answers.values()].filter((heard) =>
          heard.some((one) => one.what === "has" && one.mac === mac)
        ).length
        const isProxy = answered >= 2
        if (isProxy && this.#known.get(key(mac))?.isProxy !== true) this.#found(lan.name, mac)
        this.#known.set(key(mac), { at: now, isProxy })
      }
    }
    return new Set([...macs].filter((mac) => this.#known.get(key(mac))?.isProxy !== true))
  }
}
