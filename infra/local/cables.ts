import { LocalFailure } from "./failure.ts"
import { type Namespace, Namespaces } from "./namespaces.ts"

/**
 * Two networks on this machine, each a switch (a Linux bridge) in one namespace, and hosts in namespaces of their own
 * that are cabled to them:
 *
 * - `lan`, on the hosts' link `eth0`: 10.77.0.0/16 and fd77::/64, where the Services' addresses are;
 * - `mgmt`, on the hosts' link `mgmt`: 10.78.0.0/24, where the hosts reach the machine's own ports (`10.78.0.1`).
 */
export type Network = "lan" | "mgmt"

export interface HostPlan {
  readonly name: string
  /** 2 to 99: the last part of its addresses, and of its MACs as it is written: 11 has 10.77.0.11 and …:11 */
  readonly number: number
  /** `lan` alone for one that is no node. */
  readonly networks: ReadonlyArray<Network>
}

/** How a host is reached on each network. */
export const addressesOf = (number: number) => ({
  lan: {
    link: "eth0",
    mac: `02:77:00:00:00:${two(number)}`,
    ipv4: `10.77.0.${number}`,
    ipv6: `fd77::${number}`
  },
  mgmt: { link: "mgmt", mac: `02:78:00:00:00:${two(number)}`, ipv4: `10.78.0.${number}` }
})
const two = (number: number) => String(number).padStart(2, "0")

/** The switch's end of a host's cable. */
export const portOf = (number: number, network: Network): string => `${network}-${number}`

/** Where hosts on `mgmt` find what `Gate` lets them reach. */
export const gateway = "10.78.0.1"

export interface Host extends HostPlan {
  readonly namespace: Namespace
}

/** The switches: bridge `lan`, and `lan-b` for who is on the other side of a split; bridge `mgmt`. */
const switches = (bridge: string, mac: string) => [
  `link add ${bridge} address ${mac} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `link set ${bridge} addrgenmode none`,
  `link set ${bridge} up`
]
/** What a sniffer or a sender on a switch is, on either side of a split. */
export const sides = {
  a: { bridge: "lan", mac: "02:77:00:00:00:fa" },
  b: { bridge: "lan-b", mac: "02:77:00:00:00:fb" }
} as const
/** A switch that does not work. */
export const nowhere = "nowhere"
export type Side = keyof typeof sides

/** Switches and hosts. They end with us, however we end. */
export class Cables {
  readonly namespaces: Namespaces
  /** Where both switches are. */
  readonly switch: Namespace
  readonly #hosts = new Map<string, Host>()

  private constructor(namespaces: Namespaces, switching: Namespace) {
    this.namespaces = namespaces
    this.switch = switching
  }

  static async open(plans: ReadonlyArray<HostPlan>): Promise<Cables> {
    const namespaces = new Namespaces()
    try {
      const opened = [namespaces.open("switch"), ...plans.map(({ name }) => namespaces.open(name))]
      // All are waited for: one that comes up after another has failed must be ended as well.
      const settled = await Promise.allSettled(opened)
      for (const one of settled) if (one.status === "rejected") throw one.reason
      const [switching, ...hosts] = (await Promise.all(opened)) as [Namespace, ...Array<Namespace>]
      const cables = new Cables(namespaces, switching)
      await switching.ip([
        ...switches(sides.a.bridge, sides.a.mac),
        ...switches(sides.b.bridge, sides.b.mac),
        ...switches("mgmt", "02:78:00:00:00:01"),
        `addr add ${gateway}/24 dev mgmt`,
        // Never up: what is plugged into it has a carrier and reaches nobody.
        `link add ${nowhere} type bridge`
      ])
      await cables.#wire(plans.map((plan, index) => ({ ...plan, namespace: hosts[index]! })))
      return cables
    } catch (cause) {
      namespaces.close()
      throw cause
    }
  }

  host(name: string): Host {
    const host = this.#hosts.get(name)
    if (host !== undefined) return host
    throw new LocalFailure({
      what: `host ${name}`,
      detail: `is not among ${[...this.#hosts.keys()].join(", ")}`
    })
  }

  hosts(): ReadonlyArray<Host> {
    return [...this.#hosts.values()]
  }

  /** A host that was lost, anew: the same addresses and MACs, and nothing else of what it was. */
  async boot(plan: HostPlan): Promise<Host> {
    const host = { ...plan, namespace: await this.namespaces.open(plan.name) }
    await this.#wire([host])
    return host
  }

  /** As when their power is cut: off the networks at once, then all that runs on them is gone. */
  async lose(names: ReadonlyArray<string>): Promise<void> {
    const lost = names.map((name) => this.host(name))
    const ports = lost.flatMap(({ number, networks }) => networks.map((network) => portOf(number, network)))
    // Down at once; to delete them takes the kernel ten times as long.
    await this.switch.ip(ports.map((port) => `link set ${port} down`))
    for (const { namespace } of lost) namespace.killAll()
    await this.switch.ip(ports.map((port) => `link del ${port}`))
    for (const { name, namespace } of lost) {
      this.#hosts.delete(name)
      namespace.end()
    }
  }

  close(): void {
    this.namespaces.close()
  }

  /** A cable is a pair of links: one end a port of the switch, the other the host's. */
  async #wire(hosts: ReadonlyArray<Host>): Promise<void> {
    const plug = ({ number, networks, namespace }: Host) =>
      networks.flatMap((network) => {
        const [port, { link, mac }] = [portOf(number, network), addressesOf(number)[network]]
        return [
          `link add ${port} type veth peer name ${link} address ${mac} netns ${namespace.pid}`,
          `link set ${port} addrgenmode none`,
          `link set ${port} master ${network} up`
        ]
      })
    await this.switch.ip(hosts.flatMap(plug))
    await Promise.all(
      hosts.map(({ number, networks, namespace }) => namespace.ip(configured(number, networks)))
    )
    for (const host of hosts) this.#hosts.set(host.name, host)
  }
}

const configured = (number: number, networks: ReadonlyArray<Network>): ReadonlyArray<string> => {
  const { lan, mgmt } = addressesOf(number)
  const onLan = [
    "link set eth0 up",
    `addr add ${lan.ipv4}/16 dev eth0`,
    `addr add ${lan.ipv6}/64 dev eth0`,
    // Where a router would be; nobody has the address.
    "route add default via 10.77.0.1 dev eth0",
    "route add default via fd77::1 dev eth0"
  ]
  const onMgmt = ["link set mgmt up", `addr add ${mgmt.ipv4}/24 dev mgmt`]
  return networks.flatMap((network) => (network === "lan" ? onLan : onMgmt))
}
