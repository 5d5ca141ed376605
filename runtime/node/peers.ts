import type { FleetLink } from "../Fleet.ts"

/** The other nodes, as they said last of themselves. One that is gone is remembered: its MACs are still ours. */
export class Peers {
  /** Node → its links */
  readonly #links = new Map<string, ReadonlyArray<FleetLink>>()
  /** MAC → node */
  readonly #nodes = new Map<string, string>()

  set(node: string, links: ReadonlyArray<FleetLink>): void {
    this.#links.set(node, links)
    for (const { mac } of links) this.#nodes.set(mac, node)
  }

  linksOf(node: string): ReadonlyArray<FleetLink> {
    return this.#links.get(node) ?? []
  }

  nodeOf(mac: string): string | undefined {
    return this.#nodes.get(mac)
  }

  get names(): Iterable<string> {
    return this.#links.keys()
  }

  entries(): Iterable<readonly [string, ReadonlyArray<FleetLink>]> {
    return this.#links.entries()
  }
}

/** A node's own address of a family on a link, without its mask; `undefined` when it has none. */
export const ownAddress = (link: FleetLink, family: 4 | 6): string | undefined =>
  link.subnets.find((subnet) => subnet.includes(":") === (family === 6))?.split("/")[0]

export const familyOf = (address: string): 4 | 6 => (address.includes(":") ? 6 : 4)
