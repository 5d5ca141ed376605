import { createSocket, type Socket } from "node:dgram"
import { closeSync, openSync } from "node:fs"
import koffi from "koffi"
import * as libc from "../../../runtime/node/kernel/libc.ts"
import { nowMillis } from "./remote.ts"
import { Timeline } from "./timeline.ts"

const setns: (fd: number, kind: number) => number = koffi.load(null).func("int setns(int fd, int kind)")
const cloneNewNet = 0x40000000
const dgramNonBlockingCloseOnExec = 2 | 0o2004000

const families = {
  4: { domain: 2, protocol: 1, request: 8, reply: 0, type: "udp4" },
  6: { domain: 10, protocol: 58, request: 128, reply: 129, type: "udp6" }
} as const
type Family = keyof typeof families

/** Pings are sent more often than that, or this process did not run. */
const longestTurnMillis = 100

const enter = (path: string): void => {
  const fd = openSync(path, "r")
  const done = setns(fd, cloneNewNet)
  closeSync(fd)
  if (done !== 0) throw new Error(`setns to ${path}: ${libc.errnoName(libc.errno())}`)
}

/**
 * ICMP echo by the client's own kernel: by its routes and its neighbour cache, as any connection of a user goes. The
 * kernel's ping sockets are to Node like UDP.
 */
export class Pings {
  /** Address → its pings */
  readonly timelines = new Map<string, Timeline>()
  readonly #addresses: Array<string> = []
  readonly #sockets: Readonly<Record<Family, Socket>>

  /** `client`: the path of its network namespace. */
  constructor(client: string) {
    const own = openSync("/proc/thread-self/ns/net", "r")
    enter(client)
    try {
      this.#sockets = { 4: this.#open(4), 6: this.#open(6) }
    } finally {
      setns(own, cloneNewNet)
      closeSync(own)
    }
  }

  send(address: string): void {
    const family = address.includes(":") ? 6 : 4
    let timeline = this.timelines.get(address)
    if (timeline === undefined) {
      timeline = new Timeline()
      this.timelines.set(address, timeline)
      this.#addresses.push(address)
    }
    const packet = Buffer.alloc(16)
    packet[0] = families[family].request
    packet.writeUInt32BE(this.#addresses.indexOf(address), 8)
    packet.writeUInt32BE(timeline.sent(nowMillis(), this.#awakeMillis()), 12)
    // That there is no way to it just now shows in that it is not answered.
    this.#sockets[family].send(packet, 9, address, () => undefined)
  }

  /** A clock that stands still while this process does: what is in the socket then came in time, however late it is read. */
  #awakeMillis(): number {
    const now = nowMillis()
    this.#awake += Math.min(now - this.#lookedAt, longestTurnMillis)
    this.#lookedAt = now
    return this.#awake
  }
  #awake = 0
  #lookedAt = nowMillis()

  #open(family: Family): Socket {
    const { domain, protocol, reply, type } = families[family]
    const fd = libc.socket(domain, dgramNonBlockingCloseOnExec, protocol)
    if (fd < 0) throw new Error(`ping socket: ${libc.errnoName(libc.errno())}`)
    libc.makeRoom(fd, 8 << 20)
    const socket = createSocket(type)
    socket.on("error", () => undefined)
    socket.on("message", (packet) => {
      if (packet[0] !== reply || packet.length < 16) return
      const address = this.#addresses[packet.readUInt32BE(8)] ?? ""
      this.timelines.get(address)?.answered(packet.readUInt32BE(12), nowMillis(), this.#awakeMillis())
    })
    socket.bind({ fd })
    return socket
  }
}
