import { stays, until } from "../../../test/support/until.ts"
import { announceFrames, parseFrame, probeFrame, type Signature } from "./frames.ts"
import { another, cable, listen, node, own, sh, thousand } from "./namespaces.fixture.ts"

const signature: Signature = { term: 7, taken: true, released: false }

/** What becomes of frames that are sent. */
export const packets: Record<string, () => unknown> = {
  announces: async () => {
    const { peer, mac } = node()
    const announcing = listen(own, "eth0")
    const other = "02:00:00:00:00:99"
    // On the same subnet: only then does Linux take a request for gratuitous, which replaces even a fresh entry.
    peer.inside(() => sh("ip addr add 10.0.0.9/24 dev peer0; ip addr add fd00::9/64 dev peer0 nodad"))
    peer.inside(() =>
      sh(`for a in 10.0.0.1 fd00::1; do ip neigh replace $a lladdr ${other} dev peer0 nud reachable; done`)
    )
    const neighbours = (): ReadonlyArray<{ readonly dst: string; readonly lladdr: string }> =>
      peer.inside(() => JSON.parse(sh("ip -j neigh show dev peer0")))
    const known = () =>
      neighbours()
        .filter((one) => ["10.0.0.1", "fd00::1"].includes(one.dst))
        .map((one) => one.lladdr)
    const before = known()
    const released = { term: 7, taken: false, released: true }
    announcing.socket.send(["10.0.0.1", "fd00::1"].map((one) => probeFrame(one, mac, undefined, released)))
    await stays("a probe changes no cache", () => known().every((one) => one === other), 200)
    const frames = ["10.0.0.1", "fd00::1"].flatMap((one) => announceFrames(one, mac, signature))
    // A link that is just up has no IPv6 routes yet, and drops what comes in.
    const announced = () => announcing.socket.send(frames) === 3 && known().every((one) => one === mac)
    await until("the caches to change", announced, { last: neighbours })
    return { before, after: known(), mac, other }
  },

  bridge: async () => {
    const [left, right] = [another(), another()]
    sh("ip link add switch type bridge mcast_snooping 1; ip link set switch up")
    for (const [port, namespace] of [
      ["left", left],
      ["right", right]
    ] as const) {
      cable(port, "eth0", namespace)
      sh(`ip link set ${port} master switch`)
    }
    const from = listen(left, "eth0")
    const to = listen(right, "eth0")
    const released = { term: 4_294_967_295, taken: false, released: true }
    const frames = ["10.0.0.1", "fd00::1"].flatMap((one) => [
      ...announceFrames(one, from.mac, signature),
      probeFrame(one, from.mac, undefined, released)
    ])
    const heard = () =>
      to.frames.map((frame) => parseFrame(frame, to.mac)).filter((one) => one?.signature !== undefined)
    // A port of a bridge learns for a while before it forwards.
    await until(
      "the bridge to forward",
      () => from.socket.send(frames) > 0 && heard().length >= frames.length
    )
    const distinct = new Set(heard().map((one) => JSON.stringify({ ...one, mac: one?.mac === from.mac })))
    return [...distinct].map((one) => JSON.parse(one))
  },

  burst: async () => {
    const { peer } = node()
    const sending = listen(peer, "peer0")
    const receiving = listen(own, "eth0")
    const frames = thousand.map((one) => announceFrames(one, sending.mac, signature)[0]!)
    const start = performance.now()
    let sent = 0
    for (let round = 0; round < 5; round++) sent += sending.socket.send(frames)
    const millis = performance.now() - start
    // What the kernels themselves say on the cable is not counted.
    const announced = () => receiving.frames.filter((frame) => frame.readUInt16BE(12) === 0x0806)
    await until("all of it", () => announced().length === 5_000, { last: () => announced().length })
    const first = announced()
      .slice(0, 1_000)
      .map((frame) => parseFrame(frame, receiving.mac)?.address)
    return { sent, millis, dropped: receiving.socket.dropped(), inOrder: first.join() === thousand.join() }
  },

  down: async () => {
    const { peer } = node()
    const receiving = listen(peer, "peer0")
    const sending = listen(own, "eth0")
    const frames = announceFrames("10.0.0.1", sending.mac, signature)
    const heard = () => receiving.frames.filter((frame) => frame.readUInt16BE(12) === 0x0806).length
    sh("ip link set eth0 down")
    const whileDown = sending.socket.send(frames)
    // The receiver's socket has an error to be told of as well.
    peer.inside(() => sh("ip link set peer0 down; ip link set peer0 up"))
    sh("ip link set eth0 up")
    await until("frames again", () => sending.socket.send(frames) === 2 && heard() > 0)
    sending.socket.send([probeFrame("10.0.0.1", sending.mac)])
    sh("ip link del eth0")
    const removed = sending.socket.send(frames)
    return { whileDown, removed }
  },

  vlan: async () => {
    const { peer } = node()
    const sending = listen(peer, "peer0")
    const receiving = listen(own, "eth0")
    const tagged = (vlan: number, address: string) => {
      const frame = announceFrames(address, sending.mac, signature)[0]!
      return Buffer.concat([frame.subarray(0, 12), Buffer.of(0x81, 0, 0, vlan), frame.subarray(12)])
    }
    const heard = () => receiving.frames.map((frame) => parseFrame(frame, receiving.mac)?.address)
    // A tag of VLAN 0 says a priority, and no VLAN.
    sending.socket.send([
      tagged(5, "10.0.0.5"),
      tagged(0, "10.0.0.6"),
      ...announceFrames("10.0.0.7", sending.mac, signature)
    ])
    await until("the last frame", () => heard().includes("10.0.0.7"))
    return ["10.0.0.5", "10.0.0.6", "10.0.0.7"].filter((address) => heard().includes(address))
  }
}
