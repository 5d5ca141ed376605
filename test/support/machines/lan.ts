import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { type Namespace, Namespaces } from "../../../infra/local/namespaces.ts"

/** The network that the machines are on; its pool of external addresses is that of the README. */
export const subnet = "192.168.0"
export const addressOf = (number: number): string => `${subnet}.${number}`
const macOf = (number: number): string => `02:79:00:00:00:${number.toString(16).padStart(2, "0")}`
const portOf = (number: number): string => `port-${number}`

/** A switch, and hosts on it that are nothing but a network namespace. All of it ends with us. */
export class Lan {
  readonly namespaces: Namespaces
  readonly #switch: Namespace

  private constructor(namespaces: Namespaces, switching: Namespace) {
    this.namespaces = namespaces
    this.#switch = switching
  }

  static async open(): Promise<Lan> {
    const namespaces = new Namespaces()
    try {
      const switching = await namespaces.open("switch")
      await switching.ip([
        "link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0",
        "link set lan addrgenmode none",
        "link set lan up"
      ])
      return new Lan(namespaces, switching)
    } catch (cause) {
      namespaces.close()
      throw cause
    }
  }

  /** A host without a disk or processes of its own: a control plane, a client. */
  async host(name: string, number: number): Promise<Namespace> {
    const host = await this.namespaces.open(name)
    await this.plugIn(number, host.pid)
    await host.ip([`addr add ${addressOf(number)}/24 dev eth0`])
    return host
  }

  /** Gives the network namespace of `pid` the link `eth0`. The MAC is the same after a reboot. */
  async plugIn(number: number, pid: number): Promise<void> {
    const port = portOf(number)
    await this.#switch.ip([
      `link add ${port} type veth peer name eth0 address ${macOf(number)} netns ${pid}`,
      `link set ${port} addrgenmode none`,
      `link set ${port} master lan up`
    ])
    await promisify(execFile)("nsenter", [`--net=/proc/${pid}/ns/net`, "ip", "link", "set", "eth0", "up"])
  }

  /** Pulls the cable. */
  async unplug(number: number): Promise<void> {
    await this.#switch.ip([`link set ${portOf(number)} down`])
  }

  async plug(number: number): Promise<void> {
    await this.#switch.ip([`link set ${portOf(number)} up`])
  }

  async remove(number: number): Promise<void> {
    // Gone already, if the other end's namespace is.
    await this.#switch.ip([`link del ${portOf(number)}`]).catch(() => undefined)
  }

  close(): void {
    this.namespaces.close()
  }
}
