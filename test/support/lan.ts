import { Cables, type HostPlan, type Network, type Side } from "../../infra/local/cables.ts"
import { namespaceSupport } from "../../infra/local/namespaces.ts"
import { Hosts, type LanOptions } from "./lan/hosts.ts"
import { Ports } from "./lan/ports.ts"
import { freeze, signal } from "./lan/programs.ts"
import type { ClockQuestions } from "./lan/questions.ts"
import { Remote } from "./lan/remote.ts"
import { suite } from "./suite.ts"

export { addressesOn, expectNoHolder, expectOneHolder, holdersNow } from "./lan/holders.ts"
export type { LanOptions } from "./lan/hosts.ts"
export type { Frame, Observer, Pinged } from "./lan/observer.ts"
export type { HostProgram } from "./lan/programs.ts"
export type { Network, Side }

/** A suite that needs network namespaces: skipped, by name, with the reason, where there are none. */
export const withLan = (name: string, body: () => void): void => {
  const support = namespaceSupport()
  suite(name, support.how === "unavailable" ? `no network namespaces: ${support.reason}` : undefined, body)
}

/**
 * The laboratory: nodes, a client and a stranger, each a host in a network namespace of its own, on one LAN; the nodes
 * reach ports of this machine by a second network. Both can be broken in every way. It ends with this process, however
 * that ends.
 */
export class Lan extends Hosts {
  readonly #ports: Ports
  /** Paused host → who holds its addresses' clock */
  readonly #clocks = new Map<string, Remote<ClockQuestions>>()

  private constructor(cables: Cables, plans: ReadonlyArray<HostPlan>) {
    super(cables, plans)
    this.#ports = new Ports(cables)
  }

  static async open(options: LanOptions = {}): Promise<Lan> {
    const plans = Hosts.plansOf(options)
    return new Lan(await Cables.open(plans), plans)
  }

  /** Pulls the cable; with `carrier`, the host cannot see it. */
  async cut(host: string, network: Network, options: { readonly carrier?: boolean } = {}): Promise<void> {
    await this.#ports.set(host, [network], options.carrier === true ? "severed" : "unplugged", true)
  }

  /** Ends every `cut` of it. */
  async mend(host: string, network: Network): Promise<void> {
    await this.#ports.set(host, [network], "severed", false)
    await this.#ports.set(host, [network], "unplugged", false)
  }

  /** The host goes on sending, and receives nothing. */
  async deafen(host: string, network: Network = "lan"): Promise<void> {
    await this.#ports.set(host, [network], "deaf", true)
  }

  async undeafen(host: string, network: Network = "lan"): Promise<void> {
    await this.#ports.set(host, [network], "deaf", false)
  }

  /** Splits the LAN: these hosts on side b, all others on side a. */
  async split(...other: ReadonlyArray<string>): Promise<void> {
    await this.#ports.split(other)
  }

  async heal(): Promise<void> {
    await this.#ports.split([])
  }

  sideOf(host: string): Side {
    return this.#ports.sideOf(host)
  }

  get isSplit(): boolean {
    return this.#ports.isSplit
  }

  /** Whether it is on and can be asked on the LAN: not cut off, deaf or paused. */
  isReachable(host: string): boolean {
    return this.isOn(host) && this.#ports.faultsOf(host, "lan").size === 0
  }

  /** Off both networks at once, and everything that runs on them is killed. */
  async powerCut(...hosts: ReadonlyArray<string>): Promise<void> {
    for (const host of hosts) this.#clocks.delete(host)
    await this.#ports.inTurn(() => this.cables.lose(hosts))
  }

  /** Boots it: the same MACs and addresses of its own, nothing else, and nothing runs. What is wrong with its links stays so. */
  async powerOn(host: string): Promise<void> {
    const { namespace } = await this.cables.boot(this.planOf(host))
    this.gate.moved(host, namespace.pid)
    await this.#ports.booted(host)
  }

  /**
   * As a virtual machine is paused: nothing of it runs, nothing is sent or received, its addresses do not age. What is
   * sent to it meanwhile is lost.
   */
  async pause(host: string): Promise<void> {
    const { namespace, networks } = this.cables.host(host)
    const clock = new Remote<ClockQuestions>(this.cables.namespaces, namespace, "clock")
    this.#clocks.set(host, clock)
    await clock.ready()
    await this.#ports.set(host, networks, "paused", true)
    await Promise.all([
      freeze(() => namespace.processes().filter((pid) => pid !== clock.pid)),
      clock.ask("stop", null)
    ])
  }

  async resume(host: string): Promise<void> {
    const { namespace, networks } = this.cables.host(host)
    await this.#clocks.get(host)?.ask("start", null)
    this.#clocks.get(host)?.end()
    this.#clocks.delete(host)
    await this.#ports.set(host, networks, "paused", false)
    for (const pid of namespace.processes()) signal(pid, "SIGCONT")
  }
}
