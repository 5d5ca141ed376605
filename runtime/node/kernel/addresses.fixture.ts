import { stays, until } from "../../../test/support/until.ts"
import { type Heard, parseFrame, probeFrame } from "./frames.ts"
import { listen, node, openKernel, sh, thousand } from "./namespaces.fixture.ts"

const shown = (name: string): unknown =>
  (JSON.parse(sh(`ip -j addr show dev ${name}`)) as ReadonlyArray<{ readonly addr_info: unknown }>)[0]!
    .addr_info

/** What becomes of addresses that are put. */
export const addresses: Record<string, () => unknown> = {
  puts: async () => {
    const { kernel, index } = node()
    sh("ip addr add 192.0.2.5/24 dev eth0; ip route add default via 192.0.2.1")
    const done = await kernel.put(index, ["10.0.0.1", "fd00::1"], 30)
    return { done, shown: shown("eth0"), link: kernel.links().find((link) => link.index === index) }
  },

  expires: async () => {
    const { kernel, index, events } = node()
    await kernel.put(index, ["10.0.0.1", "fd00::1"], 1)
    const start = performance.now()
    const gone = () => events.filter((event) => event.what === "address-removed")
    await until("both addresses to be gone", () => gone().length === 2, { seconds: 10 })
    return { gone: gone(), millis: performance.now() - start }
  },

  answers: async () => {
    const { peer, kernel, index, mac } = node()
    const asking = listen(peer, "peer0")
    // Whoever asks by unicast must have an address to be answered at that is no longer checked for duplicates.
    peer.inside(() => sh("ip addr add fe80::99/64 dev peer0 nodad"))
    const ask = async (address: string, toMac?: string, from?: string): Promise<Heard | undefined> => {
      asking.frames.length = 0
      asking.socket.send([probeFrame(address, asking.mac, toMac, undefined, from)])
      const answer = () =>
        asking.frames
          .map((frame) => parseFrame(frame, asking.mac))
          .find((heard) => heard?.what === "has" && heard.address === address)
      return await until("an answer", answer, { seconds: 0.5 }).catch(() => undefined)
    }
    const silent = [await ask("10.0.0.1"), await ask("fd00::1")]
    await kernel.put(index, ["10.0.0.1", "fd00::1"], 30)
    return {
      mac,
      silent: silent.filter((heard) => heard !== undefined),
      ipv4: [await ask("10.0.0.1"), await ask("10.0.0.1", mac)],
      ipv6: [
        await ask("fd00::1"),
        await ask("fd00::1", mac),
        await ask("fd00::1", mac, "fe80::99"),
        await ask("fd00::1", undefined, "fe80::99")
      ]
    }
  },

  thousand: async () => {
    const { kernel, index, events } = node()
    const count = () =>
      kernel
        .links()
        .find((link) => link.index === index)!
        .addresses.filter((a) => a.marked).length
    const failures = (done: ReadonlyArray<number>) => done.filter((errno) => errno !== 0).length
    const timed = async (act: () => Promise<ReadonlyArray<number>>) => {
      const start = performance.now()
      const failed = failures(await act())
      return { failed, millis: performance.now() - start, count: count() }
    }
    const put = await timed(() => kernel.put(index, thousand, 30))
    await until("what has been put to be told", () => events.length >= 1_000)
    const told = events.length
    const renewed = await timed(() => kernel.put(index, thousand, 60))
    const valid = kernel
      .links()
      .find((link) => link.index === index)!
      .addresses.find((a) => a.marked)!.validSeconds
    await stays("no renewal is told", () => events.length === told, 300)
    const removed = await timed(() => kernel.remove(index, thousand))
    await until("what has been removed to be told", () => events.length === told + 1_000)
    return { put, renewed, valid, removed }
  },

  foreign: async () => {
    const { kernel, index, events } = node()
    sh("ip addr add 192.0.2.5/32 dev eth0; ip addr add fd00::5/64 dev eth0 nodad")
    await until("an address of somebody else to be told", () => events.length > 1)
    const before = shown("eth0")
    const put = await kernel.put(index, ["192.0.2.5", "fd00::5", "10.0.0.1"], 10)
    const removed = await kernel.remove(index, ["192.0.2.5", "fd00::5", "10.0.0.1", "10.0.0.2", "fd00::2"])
    const told = events.flatMap((event) =>
      event.what === "address-added" ? [[event.address, event.marked]] : []
    )
    return { put, removed, told, before, after: shown("eth0") }
  },

  adopts: async () => {
    const { kernel, index } = node()
    await kernel.put(index, ["10.0.0.1", "fd00::1"], 30)
    kernel.close()
    const closed = await kernel.put(index, ["10.0.0.2"], 30)
    const next = openKernel()
    const addresses = next.kernel.links().find((link) => link.index === index)!.addresses
    const marked = addresses.filter((address) => address.marked).map((address) => address.address)
    const renewed = await next.kernel.put(index, ["10.0.0.1", "fd00::1"], 300)
    // Long renewals and a removal meanwhile: the last word holds.
    const [, removed] = await Promise.all([
      next.kernel.put(index, [...thousand, "10.0.0.1"], 30),
      next.kernel.remove(index, ["10.0.0.1", "fd00::1"])
    ])
    const left = next.kernel
      .links()
      .find((link) => link.index === index)!
      .addresses.map((one) => one.address)
    return {
      closed,
      marked,
      renewed,
      removed,
      left: left.filter((one) => ["10.0.0.1", "fd00::1"].includes(one))
    }
  }
}
