import { arpType } from "./arp.ts"
import { advertisement, solicitation } from "./discovery.ts"
import * as libc from "./libc.ts"
import { refusal } from "./refused.ts"

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_CLOEXEC_NONBLOCK = 0o2004000
export const SOL_PACKET = 263
const PACKET_ADD_MEMBERSHIP = 1
const PACKET_MR_ALLMULTI = 2
const PACKET_IGNORE_OUTGOING = 23

/** What comes in before we look; the kernel doubles it for its own bookkeeping. Some 8,000 frames. */
const roomBytes = 4 << 20
/** Of a frame, more than any that we want is long. */
export const heardBytes = 512

const [LoadWord, LoadByte, Equal, AtLeast, Return] = [0x20, 0x30, 0x15, 0x35, 0x06]
/** Where BPF shows what the kernel knows of a frame besides its bytes. */
const [packetType, device] = [-0x1000 + 4, -0x1000 + 8]
const otherHost = 3

/**
 * For this machine (or a group), and by this link: a socket on eth0 is also shown frames of VLANs upon it. IPv6: ICMPv6
 * neighbour solicitations and advertisements only.
 */
const filter = (linkIndex: number, type: number): ReadonlyArray<libc.Step> => {
  const more: ReadonlyArray<libc.Step> =
    type === arpType
      ? []
      : [
          [LoadByte, 0, 0, 20],
          [Equal, 0, 4, 58],
          [LoadByte, 0, 0, 54],
          [Equal, 1, 0, solicitation],
          [Equal, 0, 1, advertisement]
        ]
  const drop = more.length + 1
  return [
    [LoadWord, 0, 0, packetType],
    [AtLeast, drop + 2, 0, otherHost],
    [LoadWord, 0, 0, device],
    [Equal, 0, drop, linkIndex],
    ...more,
    [Return, 0, 0, heardBytes],
    [Return, 0, 0, 0]
  ]
}

/** struct sockaddr_ll */
export const linkAddress = (linkIndex: number, type: number): Buffer => {
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(type, 2)
  address.writeInt32LE(linkIndex, 4)
  return address
}

/** Without a protocol nothing comes in. */
const openClosed = (): number => {
  const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC_NONBLOCK, 0)
  if (fd < 0) throw refusal("hear and send ARP and neighbour discovery", "CAP_NET_RAW")
  return fd
}

/** Throws KernelRefused where packet sockets are not allowed. */
export const checkPackets = (): void => {
  libc.close(openClosed())
}

/** For the frames of one type on one link. The filter is there before the first of them comes in. */
export const openPacketSocket = (linkIndex: number, type: number): number => {
  const fd = openClosed()
  libc.makeRoom(fd, roomBytes)
  libc.option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
  // The network card passes on the groups of addresses that this machine does not have: others ask for them there.
  const membership = Buffer.alloc(16)
  membership.writeInt32LE(linkIndex, 0)
  membership.writeUInt16LE(PACKET_MR_ALLMULTI, 4)
  libc.setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership, membership.length)
  if (
    libc.attachFilter(fd, filter(linkIndex, type)) < 0 ||
    libc.bind(fd, linkAddress(linkIndex, type), 20) < 0
  ) {
    const failed = libc.errno()
    libc.close(fd)
    throw refusal(`listen on the link with index ${linkIndex}`, "CAP_NET_RAW", failed)
  }
  return fd
}
