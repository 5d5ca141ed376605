import { addressBytes, macAt, macBytes } from "./addresses.ts"
import { arpEnd, arpFrame, arpType, broadcast, parseArp } from "./arp.ts"
import {
  advertisement,
  discoveryFrame,
  groupMac,
  ipv6Type,
  parseDiscovery,
  solicitation,
  solicitedNode,
  sourceMac,
  targetMac
} from "./discovery.ts"
import type { Heard, Signature } from "./types.ts"

export type { Heard, Signature } from "./types.ts"

const allNodes = addressBytes("ff02::1")
const unspecified = Buffer.alloc(16)

/**
 * What an Ethernet frame says of who has, or asks for, an address. `undefined` for any other frame, one that is
 * malformed, and one that this link has sent itself. `ownMac` in lower case.
 */
export const parseFrame = (frame: Buffer, ownMac: string): Heard | undefined => {
  if (frame.length < arpEnd || macAt(frame, 6) === ownMac) return undefined
  const type = frame.readUInt16BE(12)
  if (type === arpType) return parseArp(frame, ownMac)
  return type === ipv6Type ? parseDiscovery(frame, ownMac) : undefined
}

/**
 * Asks who has the address. To all, or with `toMac` to that machine alone.
 *
 * With `from`, an address of this link, as any host does that wants to reach it: whoever has it answers us alone, and
 * learns where that address is. Without, as a host does that wants to have it, which changes no cache, but makes one that
 * is about to take the address itself give it up (RFC 5227 §2.1.1, RFC 4862 §5.4.3): in IPv4 an ARP probe, which is
 * answered to us alone; in IPv6 a solicitation from `::`, which is answered to all nodes, also when it came by unicast.
 *
 * One that is signed as released goes to all nodes (IPv6: ff02::1), so that a switch that snoops multicast passes it
 * on to those who do not have the address; kernels drop it.
 */
export const probeFrame = (
  address: string,
  fromMac: string,
  toMac?: string,
  signature?: Signature,
  from?: string
): Buffer => {
  const target = addressBytes(address)
  const mac = macBytes(fromMac)
  if (target.length === 4) {
    const nobody = Buffer.alloc(6)
    return arpFrame({
      to: toMac ?? broadcast,
      operation: 1,
      mac,
      sender: from === undefined ? nobody.subarray(0, 4) : addressBytes(from),
      targetMac: nobody,
      target,
      signature
    })
  }
  const group = signature?.released === true ? allNodes : solicitedNode(target)
  // RFC 4861 §4.3: only a solicitation that has a source may say its MAC, and without it we would be asked for it first.
  return discoveryFrame({
    to: toMac === undefined ? groupMac(group) : macBytes(toMac),
    mac,
    source: from === undefined ? unspecified : addressBytes(from),
    destination: from === undefined || toMac === undefined ? group : target,
    type: solicitation,
    flags: 0,
    target,
    macOption: from === undefined ? undefined : sourceMac,
    signature
  })
}

/**
 * Tells all that the address is at `mac`. IPv4: a gratuitous ARP request and a reply, since some take up only one of
 * them. IPv6: an unsolicited advertisement to all nodes that overrides what they knew.
 */
export const announceFrames = (address: string, mac: string, signature: Signature): ReadonlyArray<Buffer> => {
  const target = addressBytes(address)
  const own = macBytes(mac)
  if (target.length === 4) {
    const arp = { to: broadcast, mac: own, sender: target, target, signature }
    return [
      arpFrame({ ...arp, operation: 1, targetMac: Buffer.alloc(6) }),
      // Linux takes a reply for gratuitous, and lets it replace an entry younger than a second, only if both MACs are one.
      arpFrame({ ...arp, operation: 2, targetMac: own })
    ]
  }
  return [
    discoveryFrame({
      to: groupMac(allNodes),
      mac: own,
      source: target,
      destination: allNodes,
      type: advertisement,
      flags: 0x20,
      target,
      macOption: targetMac,
      signature
    })
  ]
}
