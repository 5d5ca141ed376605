import type { FleetLink } from "../Fleet.ts"
import type { Heard } from "./kernel/frames.ts"

/** The MACs of those who sign what they say, be it a farewell. */
export const signersOf = (heard: ReadonlyArray<Heard>): ReadonlySet<string> =>
  new Set(heard.filter(({ signature }) => signature !== undefined).map(({ mac }) => mac))

/** The other nodes, as they said last of themselves. One that is gone is remembered: its MACs are still ours. */
export class Peers {
  /** Node → its links */
  readonly #links = new Map<string, ReadonlyArray<FleetLink>>()
  /** MAC → node */
  readonly #nodes = new Map<string, string>()
  /** Those that NATS hears of. */
  readonly #present = new Set<string>()
  /** Node → since when NATS has not heard of it */
  readonly #absentSince = new Map<string, number>()
  #readAt = Number.POSITIVE_INFINITY

  /** NATS is read anew: nothing has been heard of anybody yet. */
  begin(): void {
    this.#readAt = performance.now()
    this.#present.clear()
    this.#absentSince.clear()
  }

  /** NATS hears of the node. */
  hear(node: string): void {
    this.#present.add(node)
    this.#absentSince.delete(node)
  }

  /** NATS hears of it no more. */
  gone(node: string): void {
    this.#present.delete(node)
    this.#absentSince.set(node, performance.now())
  }

  /** For so long NATS has been there and has not heard of the node. */
  absentMillis(node: string): number {
    if (this.#present.has(node)) return 0
    return Math.max(0, performance.now() - (this.#absentSince.get(node) ?? this.#readAt))
  }

  /** For so long NATS has told of the nodes. */
  get readMillis(): number {
    return Math.max(0, performance.now() - this.#readAt)
  }

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

  /** Tells of one of `heard` whether it is a node of ours: known as one, or signing what it says, be it a farewell. */
  amongThem(heard: ReadonlyArray<Heard>): (one: Pick<Heard, "mac">) => boolean {
    const signers = signersOf(heard)
    return ({ mac }) => signers.has(mac) || this.#nodes.has(mac)
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
