import { execFileSync } from "node:child_process"
import { addressBytes, macBytes } from "../../../runtime/node/kernel/addresses.ts"
import { arpFrame, arpType, broadcast } from "../../../runtime/node/kernel/arp.ts"
import { discoveryFrame, groupMac, ipv6Type } from "../../../runtime/node/kernel/discovery.ts"
import { PacketSocket } from "../../../runtime/node/kernel/packets.ts"
import { Poller } from "../../../runtime/node/kernel/poller.ts"
import type { StrangerQuestions } from "./questions.ts"
import { answering } from "./remote.ts"

/** A machine of somebody else's: it announces addresses, and it can be an ARP proxy. */
const [link] = JSON.parse(execFileSync("ip", ["-j", "link", "show", "eth0"], { encoding: "utf8" }))
const mac = macBytes(link.address)
const socket = PacketSocket.open(link.ifindex)
const allNodes = addressBytes("ff02::1")
let isProxy = false

const advertise = (target: Buffer, to: Buffer, destination: Buffer, flags: number): Buffer =>
  discoveryFrame({
    to,
    mac,
    source: target,
    destination,
    type: 136,
    flags,
    target,
    macOption: 2,
    signature: undefined
  })

const announcement = (address: string): Buffer => {
  const target = addressBytes(address)
  // The override flag: replaces what was known.
  if (target.length === 16) return advertise(target, groupMac(allNodes), allNodes, 0x20)
  const nobody = Buffer.alloc(6)
  const arp = { to: broadcast, mac, sender: target, target, targetMac: nobody, signature: undefined }
  return arpFrame({ ...arp, operation: 1 })
}

/** What a proxy answers to a question; nothing to any other frame. */
const answerTo = (frame: Buffer): Buffer | undefined => {
  const type = frame.readUInt16BE(12)
  if (type === arpType) {
    const [asker, target] = [frame.subarray(28, 32), frame.subarray(38, 42)]
    if (frame.readUInt16BE(20) !== 1 || asker.equals(target)) return undefined
    const targetMac = Buffer.from(frame.subarray(22, 28))
    const to = [...targetMac].map((byte) => byte.toString(16).padStart(2, "0")).join(":")
    return arpFrame({ to, operation: 2, mac, sender: target, targetMac, target: asker, signature: undefined })
  }
  if (type !== ipv6Type || frame[54] !== 135) return undefined
  const [source, target] = [Buffer.from(frame.subarray(22, 38)), Buffer.from(frame.subarray(62, 78))]
  // RFC 4861 §7.2.4: who has no address yet is answered to all; the flag says that the answer was asked for.
  if (source.every((byte) => byte === 0)) return advertise(target, groupMac(allNodes), allNodes, 0)
  return advertise(target, Buffer.from(frame.subarray(6, 12)), source, 0x40)
}

const poller = new Poller()
const receive = () =>
  socket.receive((frame) => {
    const answer = isProxy ? answerTo(frame) : undefined
    if (answer !== undefined) socket.send([answer])
  })
for (const fd of socket.fds) poller.add(fd, receive)

answering<StrangerQuestions>({
  announce: ({ addresses }) => {
    socket.send(addresses.map(announcement))
    return null
  },
  proxy: ({ on }) => {
    isProxy = on
    return null
  }
})
