import { type Cables, type Network, nowhere, portOf, type Side, sides } from "../../../infra/local/cables.ts"

/**
 * What can be wrong with a host's link, any of them at once:
 *
 * - `unplugged`: no carrier;
 * - `severed`: with a carrier, and nothing passes; a switch further away has died;
 * - `deaf`: the host sends, and receives nothing;
 * - `paused`: the host is.
 */
export type LinkFault = "unplugged" | "severed" | "deaf" | "paused"

interface PortState {
  readonly up: boolean
  readonly bridge: string
  readonly deaf: boolean
}
const fresh = (network: Network): PortState => ({ up: true, bridge: network, deaf: false })

/** The ports of the switches, and what is wrong with each. */
export class Ports {
  readonly #cables: Cables
  /** Port → faults */
  readonly #faults = new Map<string, Set<LinkFault>>()
  /** Port → as it was set last. */
  readonly #states = new Map<string, PortState>()
  /** Hosts on side b of the LAN. */
  #other: ReadonlySet<string> = new Set()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(cables: Cables) {
    this.#cables = cables
  }

  sideOf(host: string): Side {
    return this.#other.has(host) ? "b" : "a"
  }

  get isSplit(): boolean {
    return this.#other.size > 0
  }

  faultsOf(host: string, network: Network): ReadonlySet<LinkFault> {
    return this.#faults.get(`${network} ${host}`) ?? new Set()
  }

  async set(host: string, networks: ReadonlyArray<Network>, fault: LinkFault, there: boolean): Promise<void> {
    for (const network of networks) {
      const key = `${network} ${host}`
      const faults = this.#faults.get(key) ?? new Set()
      if (there) faults.add(fault)
      else faults.delete(fault)
      this.#faults.set(key, faults)
    }
    await this.apply()
  }

  async split(other: Iterable<string>): Promise<void> {
    this.#other = new Set(other)
    await this.apply()
  }

  /** The host has booted: its ports are new ones. */
  async booted(host: string): Promise<void> {
    for (const network of ["lan", "mgmt"] as const) {
      this.#states.delete(`${network} ${host}`)
      this.#faults.get(`${network} ${host}`)?.delete("paused")
    }
    await this.apply()
  }

  /** Sets what is not yet as it is to be; a host that is off has no ports. */
  async apply(): Promise<void> {
    await this.inTurn(() => this.#apply())
  }

  /** One change at a time. */
  async inTurn(change: () => Promise<void>): Promise<void> {
    const next = this.#turn.then(change)
    this.#turn = next.catch(() => undefined)
    await next
  }

  async #apply(): Promise<void> {
    const [links, queues]: [Array<string>, Array<string>] = [[], []]
    const states: Array<readonly [string, PortState]> = []
    for (const { name, number, networks } of this.#cables.hosts()) {
      for (const network of networks) {
        const [key, port] = [`${network} ${name}`, portOf(number, network)]
        const was = this.#states.get(key) ?? fresh(network)
        const is = this.#wanted(name, network)
        if (is.bridge !== was.bridge) links.push(`link set ${port} master ${is.bridge}`)
        if (is.up !== was.up) links.push(`link set ${port} ${is.up ? "up" : "down"}`)
        // The queueing discipline that drops everything.
        if (is.deaf && !was.deaf) queues.push(`qdisc replace dev ${port} root blackhole`)
        if (was.deaf && !is.deaf) queues.push(`qdisc del dev ${port} root`)
        states.push([key, is])
      }
    }
    const { ip, run } = this.#cables.switch
    await Promise.all([
      links.length > 0 ? ip(links) : undefined,
      queues.length > 0 ? run("tc", ["-batch", "-"], `${queues.join("\n")}\n`) : undefined
    ])
    for (const [key, state] of states) this.#states.set(key, state)
  }

  #wanted(host: string, network: Network): PortState {
    const faults = this.faultsOf(host, network)
    const side = network === "lan" ? sides[this.sideOf(host)].bridge : network
    return {
      up: !faults.has("unplugged"),
      bridge: faults.has("severed") || faults.has("paused") ? nowhere : side,
      deaf: faults.has("deaf")
    }
  }
}
