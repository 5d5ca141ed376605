import { until } from "../../../test/support/until.ts"
import { addresses } from "./addresses.fixture.ts"
import { ipvsTrouble } from "./kernel.ts"
import { listen, node, openKernel, own, sh } from "./namespaces.fixture.ts"
import { packets } from "./packets.fixture.ts"

/*
 * What the tests of the kernel see, each in a process and a network namespace of its own:
 * `unshare -n node kernel.fixture.ts <scenario>` prints what there was, as JSON.
 */

/** What the kernel tells, and what it refuses. */
const others: Record<string, () => unknown> = {
  events: async () => {
    const { peer, kernel, index, events } = node()
    await kernel.put(index, ["10.0.0.1", "10.0.0.2", "fd00::1"], 60)
    const told: Array<unknown> = []
    const after = async (what: string, act: () => void, is: (event: (typeof events)[number]) => boolean) => {
      await until("all that came before", () => events.length > 0)
      events.length = 0
      act()
      told.push([what, await until(what, () => events.find(is))])
    }
    const isLink = (up: boolean, carrier: boolean) => (event: (typeof events)[number]) =>
      event.what === "link" && event.up === up && event.carrier === carrier && event.index === index
    const isRemoved = (address: string) => (event: (typeof events)[number]) =>
      event.what === "address-removed" && event.address === address
    await after("ip addr del", () => sh("ip addr del 10.0.0.1/32 dev eth0"), isRemoved("10.0.0.1"))
    await after(
      "the other end goes down",
      () => peer.inside(() => sh("ip link set peer0 down")),
      isLink(true, false)
    )
    await after(
      "the other end comes up",
      () => peer.inside(() => sh("ip link set peer0 up")),
      isLink(true, true)
    )
    await after("the link goes down", () => sh("ip link set eth0 down"), isRemoved("fd00::1"))
    const whileDown = kernel.links().find((link) => link.index === index)
    await after("the link comes up", () => sh("ip link set eth0 up"), isLink(true, true))
    await after(
      "the link is removed",
      () => sh("ip link del eth0"),
      (event) => event.what === "link" && event.removed
    )
    const absent = await kernel.put(index, ["10.0.0.1"], 10)
    return { told, whileDown, absent }
  },

  overrun: async () => {
    const { kernel, index, events } = node()
    await kernel.put(index, ["10.0.0.1"], 60)
    const pair = "addr add 10.0.0.2/32 dev eth0\naddr del 10.0.0.2/32 dev eth0\n"
    // This process does not look meanwhile.
    sh("ip -batch -", pair.repeat(15_000))
    sh("ip addr del 10.0.0.1/32 dev eth0")
    await until("to hear that events were lost", () => events.some((event) => event.what === "overrun"))
    events.length = 0
    sh("ip addr add 10.0.0.3/32 dev eth0")
    await until("what comes after", () =>
      events.some((one) => one.what === "address-added" && one.address === "10.0.0.3")
    )
    return { put: await kernel.put(index, ["10.0.0.1", "10.0.0.3"], 10) }
  },

  ipvs: () => {
    const { kernel } = node()
    const without = ipvsTrouble(kernel.links())
    sh("ip link add kube-ipvs0 type veth peer name other")
    const loose = ipvsTrouble(kernel.links())
    sh("echo 1 >/proc/sys/net/ipv4/conf/all/arp_ignore; echo 2 >/proc/sys/net/ipv4/conf/all/arp_announce")
    return { without, loose, strict: ipvsTrouble(kernel.links()) }
  },

  refused: () => {
    try {
      openKernel()
      return "opened"
    } catch (cause) {
      return cause instanceof Error ? `${cause.name}: ${cause.message}` : cause
    }
  },

  refusedPackets: () => {
    try {
      listen(own, "lo")
      return "opened"
    } catch (cause) {
      return cause instanceof Error ? `${cause.name}: ${cause.message}` : cause
    }
  }
}

const scenarios = { ...addresses, ...packets, ...others }
const answer = await scenarios[process.argv[2] ?? ""]?.()
process.stdout.write(JSON.stringify({ answer }), () => process.exit(0))
