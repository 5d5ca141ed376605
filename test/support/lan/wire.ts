import { execFileSync } from "node:child_process"
import { type Side, sides } from "../../../infra/local/cables.ts"
import { addressBytes, macBytes } from "../../../runtime/node/kernel/addresses.ts"
import { arpFrame, broadcast } from "../../../runtime/node/kernel/arp.ts"
import { parseFrame, probeFrame } from "../../../runtime/node/kernel/frames.ts"
import * as libc from "../../../runtime/node/kernel/libc.ts"
import { PacketSocket } from "../../../runtime/node/kernel/packets.ts"
import { Poller } from "../../../runtime/node/kernel/poller.ts"
import type { Frame } from "./questions.ts"
import { nowMillis } from "./remote.ts"

/** Nobody has them: questions come from there, so that they are no probes, which the nodes would heed. */
const asker = { 4: "10.77.0.250", 6: "fd77::250" } as const
const roomBytes = 64 << 20
const heardBytes = 512

/** As of a socket of the nodes, but with what is sent to others: ARP, and neighbour solicitations and advertisements. */
const everything: ReadonlyArray<libc.Step> = [
  [0x28, 0, 0, 12],
  [0x15, 5, 0, 0x0806],
  [0x30, 0, 0, 20],
  [0x15, 0, 4, 58],
  [0x30, 0, 0, 54],
  [0x15, 1, 0, 135],
  [0x15, 0, 1, 136],
  [0x06, 0, 0, heardBytes],
  [0x06, 0, 0, 0]
]

/** The request that a host sends to find another one. */
export const questionFrame = (address: string, fromMac: string): Buffer =>
  address.includes(":")
    ? probeFrame(address, fromMac, undefined, undefined, asker[6])
    : arpFrame({
        to: broadcast,
        operation: 1,
        mac: macBytes(fromMac),
        sender: addressBytes(asker[4]),
        targetMac: Buffer.alloc(6),
        target: addressBytes(address),
        signature: undefined
      })

const indexOf = (link: string): number =>
  JSON.parse(execFileSync("ip", ["-j", "link", "show", link], { encoding: "utf8" }))[0].ifindex

/**
 * Everything that passes the LAN's switches: they are asked for a copy of all that they forward, to whomever. What a
 * host sends on a cable that leads nowhere is not among it.
 */
export class Wire {
  /** Address → what was said of it */
  readonly frames = new Map<string, Array<Frame>>()
  seen = 0
  lost = 0
  readonly #sockets: Readonly<Record<Side, PacketSocket>>
  readonly #macs = new Map<string, string>()
  readonly #onFrame: (address: string, frame: Frame) => void

  constructor(onFrame: (address: string, frame: Frame) => void) {
    this.#onFrame = onFrame
    const poller = new Poller()
    const open = (side: Side): PacketSocket => {
      const { bridge } = sides[side]
      execFileSync("ip", ["link", "set", bridge, "promisc", "on"])
      const socket = PacketSocket.open(indexOf(bridge))
      for (const fd of socket.fds) {
        if (libc.attachFilter(fd, everything) < 0) throw new Error(`filter: ${libc.errnoName(libc.errno())}`)
        poller.add(fd, () => this.#receive(side))
      }
      return socket
    }
    this.#sockets = { a: open("a"), b: open("b") }
    this.makeRoom(roomBytes)
  }

  makeRoom(bytes: number): void {
    for (const { fds } of Object.values(this.#sockets)) for (const fd of fds) libc.makeRoom(fd, bytes)
  }

  /** Sends a question to all; answers come in as frames. */
  ask(addresses: ReadonlyArray<string>, side: Side): void {
    const frames = addresses.map((address) => questionFrame(address, sides[side].mac))
    const sent = this.#sockets[side].send(frames)
    if (sent < frames.length) throw new Error(`sent ${sent} of ${frames.length} questions`)
  }

  /** Takes in all that has arrived by now. */
  drain(): void {
    for (const side of ["a", "b"] as const) this.#receive(side)
  }

  /** Frames lost since the start. */
  losses(): number {
    for (const socket of Object.values(this.#sockets)) this.lost += socket.dropped()
    return this.lost
  }

  #receive(side: Side): void {
    const { mac: own } = sides[side]
    this.seen += this.#sockets[side].receive((bytes) => {
      const heard = parseFrame(bytes, own)
      if (heard === undefined) return
      const mac = this.#macs.get(heard.mac) ?? heard.mac
      this.#macs.set(mac, mac)
      const says = heard.isReply && heard.toUs ? "answer" : "says"
      const frame: Frame = {
        at: nowMillis(),
        mac,
        what: heard.what === "asks" ? "probes" : says,
        side,
        ...(heard.signature === undefined ? {} : { signature: heard.signature })
      }
      const frames = this.frames.get(heard.address)
      if (frames === undefined) this.frames.set(heard.address, [frame])
      else frames.push(frame)
      this.#onFrame(heard.address, frame)
    })
  }
}
