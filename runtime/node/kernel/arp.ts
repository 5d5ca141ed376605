import { ipv4At, isStation, macAt, macBytes } from "./addresses.ts"
import { readSignature, writeSignature } from "./signature.ts"
import type { Heard, Signature } from "./types.ts"

export const arpType = 0x0806
/** Ethernet and IPv4, with addresses of 6 and 4 bytes. */
const kind = 0x000108000604
/** What an ARP frame says ends here; up to the least length of an Ethernet frame it is padding. */
export const arpEnd = 42
const shortest = 60
export const broadcast = "ff:ff:ff:ff:ff:ff"

export const parseArp = (frame: Buffer, ownMac: string): Heard | undefined => {
  if (frame.length < arpEnd || frame.readUIntBE(14, 6) !== kind) return undefined
  const operation = frame.readUInt16BE(20)
  if ((operation !== 1 && operation !== 2) || !isStation(frame, 22)) return undefined
  const isProbe = frame.readUInt32BE(28) === 0
  if (isProbe && operation === 2) return undefined
  const mac = macAt(frame, 22)
  if (mac === ownMac) return undefined
  return {
    what: isProbe ? "asks" : "has",
    address: ipv4At(frame, isProbe ? 38 : 28),
    mac,
    toUs: macAt(frame, 0) === ownMac,
    isReply: operation === 2,
    signature: readSignature(frame, arpEnd, frame.length)
  }
}

interface Arp {
  readonly to: string
  readonly operation: 1 | 2
  readonly mac: Buffer
  readonly sender: Buffer
  readonly targetMac: Buffer
  readonly target: Buffer
  readonly signature: Signature | undefined
}

export const arpFrame = (arp: Arp): Buffer => {
  const frame = Buffer.alloc(shortest)
  macBytes(arp.to).copy(frame)
  arp.mac.copy(frame, 6)
  frame.writeUInt16BE(arpType, 12)
  frame.writeUIntBE(kind, 14, 6)
  frame.writeUInt16BE(arp.operation, 20)
  arp.mac.copy(frame, 22)
  arp.sender.copy(frame, 28)
  arp.targetMac.copy(frame, 32)
  arp.target.copy(frame, 38)
  if (arp.signature !== undefined) writeSignature(arp.signature, frame, arpEnd)
  return frame
}
