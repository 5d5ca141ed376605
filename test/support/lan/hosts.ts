import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { addressesOf, type Cables, gateway, type HostPlan } from "../../../infra/local/cables.ts"
import { Gate } from "../../../infra/local/gate.ts"
import { Observer } from "./observer.ts"
import { type HostProgram, spawnOn } from "./programs.ts"
import type { StrangerQuestions } from "./questions.ts"
import { Remote } from "./remote.ts"

export interface LanOptions {
  /** How many nodes; they are called `n1`, `n2`, … */
  readonly nodes?: number
}

/** The hosts of the laboratory: `n1`, `n2`, …, `client` and `stranger`, and what runs on them. Nothing of it is broken. */
export class Hosts {
  /** The nodes' names. */
  readonly nodes: ReadonlyArray<string>
  readonly cables: Cables
  readonly observer: Observer
  /** Where the logs of what runs on the hosts are. */
  readonly directory: string
  protected readonly gate: Gate
  readonly #plans: ReadonlyMap<string, HostPlan>
  /** Host and port → the port of this machine that leads there */
  readonly #doors = new Map<string, Promise<number>>()
  #stranger: Remote<StrangerQuestions> | undefined

  protected constructor(cables: Cables, plans: ReadonlyArray<HostPlan>) {
    this.cables = cables
    this.gate = new Gate(cables)
    this.observer = new Observer(cables)
    this.#plans = new Map(plans.map((plan) => [plan.name, plan]))
    this.nodes = plans.filter(({ networks }) => networks.includes("mgmt")).map(({ name }) => name)
    this.directory = mkdtempSync(join(tmpdir(), "extip-lan-"))
    cables.namespaces.ledger.addDirectory(this.directory)
  }

  protected static plansOf({ nodes = 3 }: LanOptions): ReadonlyArray<HostPlan> {
    return [
      { name: "client", number: 2, networks: ["lan"] },
      { name: "stranger", number: 3, networks: ["lan"] },
      ...Array.from({ length: nodes }, (_, index) => ({
        name: `n${index + 1}`,
        number: 11 + index,
        networks: ["lan", "mgmt"] as const
      }))
    ]
  }

  /** Lets hosts reach a port of this machine's 127.0.0.1 by the network `mgmt`, as `10.78.0.1:port`. */
  async letOut(port: number): Promise<string> {
    await this.gate.letOut(port, { host: "127.0.0.1", port })
    return `${gateway}:${port}`
  }

  /** `127.0.0.1:port` of this machine, behind which is that port of the host's own 127.0.0.1, also after a reboot. */
  async letIn(host: string, port: number): Promise<string> {
    const key = `${host} ${port}`
    const door = this.#doors.get(key) ?? this.gate.letIn(host, port)
    this.#doors.set(key, door)
    return `127.0.0.1:${await door}`
  }

  /** A host's link, MAC and addresses on each network. */
  addressesOf(host: string): ReturnType<typeof addressesOf> {
    return addressesOf(this.planOf(host).number)
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
    this.gate.close()
    this.cables.close()
    rmSync(this.directory, { recursive: true, force: true })
    this.cables.namespaces.ledger.removeDirectory(this.directory)
  }

  #strangers(): Remote<StrangerQuestions> {
    this.#stranger ??= new Remote(this.cables.namespaces, this.cables.host("stranger").namespace, "stranger")
    return this.#stranger
  }

  protected planOf(host: string): HostPlan {
    const plan = this.#plans.get(host)
    if (plan === undefined) throw new Error(`there is no host ${host}`)
    return plan
  }
}

const host128 = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`
const nodad = (address: string) => (address.includes(":") ? " nodad" : "")
