import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  addressesOf,
  Cables,
  gateway,
  type HostPlan,
  type Network,
  type Side
} from "../../infra/local/cables.ts"
import { Gate } from "../../infra/local/gate.ts"
import { namespaceSupport } from "../../infra/local/namespaces.ts"
import { Observer } from "./lan/observer.ts"
import { Ports } from "./lan/ports.ts"
import { freeze, type HostProgram, signal, spawnOn } from "./lan/programs.ts"
import type { ClockQuestions, StrangerQuestions } from "./lan/questions.ts"
import { Remote } from "./lan/remote.ts"
import { suite } from "./suite.ts"

export { addressesOn, expectNoHolder, expectOneHolder, holdersNow } from "./lan/holders.ts"
export type { Frame, Observer, Pinged } from "./lan/observer.ts"
export type { HostProgram } from "./lan/programs.ts"
export type { Network, Side }

/** A suite that needs network namespaces: skipped, by name, with the reason, where there are none. */
export const withLan = (name: string, body: () => void): void => {
  const support = namespaceSupport()
  suite(name, support.how === "unavailable" ? `no network namespaces: ${support.reason}` : undefined, body)
}

export interface LanOptions {
  /** How many nodes; they are called `n1`, `n2`, … */
  readonly nodes?: number
}

/**
 * The laboratory: nodes, a client and a stranger, each a host in a network namespace of its own, on one LAN; the nodes
 * reach ports of this machine by a second network. Both can be broken in every way. It ends with this process, however
 * that ends.
 */
export class Lan {
  /** The nodes' names. */
  readonly nodes: ReadonlyArray<string>
  readonly cables: Cables
  readonly observer: Observer
  /** Where the logs of what runs on the hosts are. */
  readonly directory: string
  readonly #gate: Gate
  readonly #ports: Ports
  readonly #plans: ReadonlyMap<string, HostPlan>
  #stranger: Remote<StrangerQuestions> | undefined
  /** Paused host → who holds its addresses' clock */
  readonly #clocks = new Map<string, Remote<ClockQuestions>>()
  readonly #doors = new Map<string, Promise<number>>()

  private constructor(cables: Cables, plans: ReadonlyArray<HostPlan>, directory: string) {
    this.cables = cables
    this.#gate = new Gate(cables)
    this.#ports = new Ports(cables)
    this.observer = new Observer(cables)
    this.#plans = new Map(plans.map((plan) => [plan.name, plan]))
    this.nodes = plans.filter(({ networks }) => networks.includes("mgmt")).map(({ name }) => name)
    this.directory = directory
  }

  static async open(options: LanOptions = {}): Promise<Lan> {
    const nodes = Array.from({ length: options.nodes ?? 3 }, (_, index) => ({
      name: `n${index + 1}`,
      number: 11 + index,
      networks: ["lan", "mgmt"] as const
    }))
    const plans: ReadonlyArray<HostPlan> = [
      { name: "client", number: 2, networks: ["lan"] },
      { name: "stranger", number: 3, networks: ["lan"] },
      ...nodes
    ]
    const cables = await Cables.open(plans)
    const directory = mkdtempSync(join(tmpdir(), "extip-lan-"))
    cables.namespaces.ledger.addDirectory(directory)
    return new Lan(cables, plans, directory)
  }

  /** Lets hosts reach a port of this machine's 127.0.0.1 by the network `mgmt`, as `10.78.0.1:port`. */
  async letOut(port: number): Promise<string> {
    await this.#gate.letOut(port, { host: "127.0.0.1", port })
    return `${gateway}:${port}`
  }

  /** `127.0.0.1:port` of this machine, behind which is that port of the host's own 127.0.0.1, also after a reboot. */
  async letIn(host: string, port: number): Promise<string> {
    const key = `${host} ${port}`
    const door = this.#doors.get(key) ?? this.#gate.letIn(host, port)
    this.#doors.set(key, door)
    return `127.0.0.1:${await door}`
  }

  /** A host's link, MAC and addresses on each network. */
  addressesOf(host: string): ReturnType<typeof addressesOf> {
    return addressesOf(this.#plan(host).number)
  }

  /** The host whose link on the LAN has this MAC. */
  hostOf(mac: string): string | undefined {
    return [...this.#plans.values()].find(({ number }) => addressesOf(number).lan.mac === mac)?.name
  }

  isOn(host: string): boolean {
    return this.cables.hosts().some(({ name }) => name === host)
  }

  /** Starts a program on a host. */
  spawn(host: string, command: string, args: ReadonlyArray<string>, env?: NodeJS.ProcessEnv): HostProgram {
    return spawnOn(this.cables, this.directory, host, [command, ...args], { ...process.env, ...env })
  }

  /** Runs a program on a host to its end, and answers with what it printed. */
  async run(host: string, command: string, ...args: ReadonlyArray<string>): Promise<string> {
    return await this.cables.host(host).namespace.run(command, args)
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

  /** Off both networks, and everything that runs on it is killed. */
  async powerCut(host: string): Promise<void> {
    this.#clocks.delete(host)
    await this.cables.lose(host)
  }

  /** Boots it: the same MACs and addresses of its own, nothing else, and nothing runs. What is wrong with its links stays so. */
  async powerOn(host: string): Promise<void> {
    const { namespace } = await this.cables.boot(this.#plan(host))
    this.#gate.moved(host, namespace.pid)
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

  /** Puts addresses on the link of a host, by hand: the kernel answers for them, and nothing announces them. */
  async own(host: string, ...addresses: ReadonlyArray<string>): Promise<void> {
    const lines = addresses.map((address) => `addr add ${host128(address)} dev eth0${nodad(address)}`)
    await this.cables.host(host).namespace.ip(lines)
  }

  async disown(host: string, ...addresses: ReadonlyArray<string>): Promise<void> {
    await this.cables.host(host).namespace.ip(addresses.map((one) => `addr del ${host128(one)} dev eth0`))
  }

  /** The stranger tells all that it has the addresses. */
  async announceByStranger(...addresses: ReadonlyArray<string>): Promise<void> {
    await this.#strangers().ask("announce", { addresses })
  }

  /** The stranger answers for everything that is asked for on the LAN, as an ARP proxy does. */
  async proxyByStranger(on: boolean): Promise<void> {
    await this.#strangers().ask("proxy", { on })
  }

  /** Every process of it, whoever started them; not those of the gate's outer half. */
  processes(): ReadonlyArray<number> {
    const namespaces = [this.cables.switch, ...this.cables.hosts().map(({ namespace }) => namespace)]
    return namespaces.flatMap(({ pid, processes }) => [pid, ...processes()])
  }

  async close(): Promise<void> {
    this.observer.end()
    this.#stranger?.end()
    this.#gate.close()
    this.cables.close()
    rmSync(this.directory, { recursive: true, force: true })
    this.cables.namespaces.ledger.removeDirectory(this.directory)
  }

  #strangers(): Remote<StrangerQuestions> {
    this.#stranger ??= new Remote(this.cables.namespaces, this.cables.host("stranger").namespace, "stranger")
    return this.#stranger
  }

  #plan(host: string): HostPlan {
    const plan = this.#plans.get(host)
    if (plan === undefined) throw new Error(`there is no host ${host}`)
    return plan
  }
}

const host128 = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`
const nodad = (address: string) => (address.includes(":") ? " nodad" : "")
