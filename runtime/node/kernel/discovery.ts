import { addressBytes, ipv6At, isStation, macAt } from "./addresses.ts"
import { readSignature, signatureBytes, writeSignature } from "./signature.ts"
import type { Heard, Signature } from "./types.ts"

export const ipv6Type = 0x86dd
/** Where the ICMPv6 message starts, and its options: RFC 4861 §4.3 and §4.4, no extension headers. */
const icmp = 54
const options = icmp + 24
export const solicitation = 135
export const advertisement = 136
export const sourceMac = 1
export const targetMac = 2
/** RFC 4727: for experiments. Receivers skip options that they do not know (RFC 4861 §9). */
const experiment = 253

/** RFC 2464 §7: the Ethernet group of an IPv6 group. */
export const groupMac = (group: Buffer): Buffer => Buffer.concat([Buffer.of(0x33, 0x33), group.subarray(12)])

/** ff02::1:ff and the last three bytes. RFC 4291 §2.7.1. */
export const solicitedNode = (target: Buffer): Buffer =>
  Buffer.concat([addressBytes("ff02::1:ff00:0").subarray(0, 13), target.subarray(13)])

/** Over the pseudo header and the message; 0 for a message that carries the right one. RFC 4443 §2.3. */
const checksum = (frame: Buffer, end: number): number => {
  let sum = 58 + end - icmp
  for (let at = 22; at + 1 < end; at += 2) sum += (frame[at]! << 8) | frame[at + 1]!
  if ((end & 1) === 1) sum += frame[end - 1]! << 8
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  return ~sum & 0xffff
}

export const parseDiscovery = (frame: Buffer, ownMac: string): Heard | undefined => {
  if (frame.length < options || frame[14]! >> 4 !== 6 || frame[20] !== 58) return undefined
  const type = frame[icmp]
  // RFC 4861 §7.1: the hop limit shows that no router has passed it on.
  if ((type !== solicitation && type !== advertisement) || frame[icmp + 1] !== 0 || frame[21] !== 255)
    return undefined
  const end = icmp + frame.readUInt16BE(18)
  if (end < options || end > frame.length || frame[62] === 0xff || checksum(frame, end) !== 0)
    return undefined
  const isAdvertisement = type === advertisement
  let mac = 6
  let signature: Signature | undefined
  for (let at = options; at < end; ) {
    const length = at + 1 < end ? frame[at + 1]! * 8 : 0
    if (length === 0 || at + length > end) return undefined
    if (frame[at] === (isAdvertisement ? targetMac : sourceMac)) mac = at + 2
    else if (frame[at] === experiment) signature = readSignature(frame, at + 2, at + length)
    at += length
  }
  if (!isStation(frame, mac)) return undefined
  const from = macAt(frame, mac)
  if (from === ownMac) return undefined
  return {
    what: isAdvertisement ? "has" : "asks",
    address: ipv6At(frame, 62),
    mac: from,
    toUs: macAt(frame, 0) === ownMac,
    isReply: isAdvertisement && (frame[58]! & 0x40) !== 0,
    signature
  }
}

interface Discovery {
  readonly to: Buffer
  readonly mac: Buffer
  readonly source: Buffer
  readonly destination: Buffer
  readonly type: typeof solicitation | typeof advertisement
  readonly flags: number
  readonly target: Buffer
  /** Which option says our MAC, if one does. */
  readonly macOption: typeof sourceMac | typeof targetMac | undefined
  readonly signature: Signature | undefined
}

export const discoveryFrame = (said: Discovery): Buffer => {
  const macLength = said.macOption === undefined ? 0 : 8
  const length = options + macLength + (said.signature === undefined ? 0 : 16)
  const frame = Buffer.alloc(length)
  said.to.copy(frame)
  said.mac.copy(frame, 6)
  frame.writeUInt16BE(ipv6Type, 12)
  frame[14] = 0x60
  frame.writeUInt16BE(length - icmp, 18)
  frame[20] = 58
  frame[21] = 255
  said.source.copy(frame, 22)
  said.destination.copy(frame, 38)
  frame[icmp] = said.type
  frame[58] = said.flags
  said.target.copy(frame, 62)
  if (said.macOption !== undefined) {
    frame.set([said.macOption, 1], options)
    said.mac.copy(frame, options + 2)
  }
  if (said.signature !== undefined) {
    // In units of 8 bytes: 2 of type and length, the signature, 2 of padding.
    frame.set([experiment, (2 + signatureBytes + 2) / 8], options + macLength)
    writeSignature(said.signature, frame, options + macLength + 2)
  }
  frame.writeUInt16BE(checksum(frame, length), icmp + 2)
  return frame
}
