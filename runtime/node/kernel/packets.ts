import { arpType } from "./arp.ts"
import { advertisement, ipv6Type, solicitation } from "./discovery.ts"
import * as libc from "./libc.ts"
import { messages } from "./messages.ts"
import { refusal } from "./refused.ts"

const AF_PACKET = 17
const SOCK_RAW = 3
const SOCK_CLOEXEC_NONBLOCK = 0o2004000
const MSG_DONTWAIT = 0x40
const SOL_PACKET = 263
const PACKET_ADD_MEMBERSHIP = 1
const PACKET_MR_ALLMULTI = 2
const PACKET_STATISTICS = 6
const PACKET_IGNORE_OUTGOING = 23
const POLLOUT = 4

/** What comes in before we look; the kernel doubles it for its own bookkeeping. Some 8,000 frames. */
const roomBytes = 4 << 20
/** Frames per system call, of so many bytes at most: those that we want are of 60 to 110. */
const batch = 64
const heardBytes = 512
const sentBytes = 1514
/** A full queue of a link empties within a millisecond; a link that does not is not waited for any longer. */
const waitForRoomMillis = 20

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
const linkAddress = (linkIndex: number, type: number): Buffer => {
  const address = Buffer.alloc(20)
  address.writeUInt16LE(AF_PACKET, 0)
  address.writeUInt16BE(type, 2)
  address.writeInt32LE(linkIndex, 4)
  return address
}

const openFor = (linkIndex: number, type: number): number => {
  // Without a protocol nothing comes in until the filter is there.
  const fd = libc.socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC_NONBLOCK, 0)
  if (fd < 0) throw refusal("hear and send ARP and neighbour discovery", "CAP_NET_RAW")
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

const outgoing = messages(batch, sentBytes)

/**
 * ARP and neighbour discovery of one link: what comes in, other than our own, and what is to go out. The socket outlives
 * the link's being down, and hears nothing more once the link is removed.
 */
export class PacketSocket {
  readonly #linkIndex: number
  readonly #incoming = messages(batch, heardBytes)
  #fds: ReadonlyArray<number>

  private constructor(linkIndex: number, fds: ReadonlyArray<number>) {
    this.#linkIndex = linkIndex
    this.#fds = fds
  }

  /** Throws KernelRefused, also when there is no such link. */
  static open(linkIndex: number): PacketSocket {
    const arp = openFor(linkIndex, arpType)
    try {
      return new PacketSocket(linkIndex, [arp, openFor(linkIndex, ipv6Type)])
    } catch (cause) {
      libc.close(arp)
      throw cause
    }
  }

  /** To be watched for reading. */
  get fds(): ReadonlyArray<number> {
    return this.#fds
  }

  /**
   * Sends whole Ethernet frames, in order, and returns how many have gone out: fewer when the link is down, removed, or
   * does not keep up, which is waited for 20 ms at most.
   */
  send(frames: ReadonlyArray<Uint8Array>): number {
    const fd = this.#fds[0]
    if (fd === undefined) return 0
    let sent = 0
    let waitUntil: number | undefined
    let wasDown = false
    outgoing.to(linkAddress(this.#linkIndex, 0))
    while (sent < frames.length) {
      const count = Math.min(batch, frames.length - sent)
      for (let index = 0; index < count; index++) outgoing.put(index, frames[sent + index]!)
      const now = libc.sendmmsg(fd, outgoing.address, count, MSG_DONTWAIT)
      if (now > 0) {
        sent += now
        continue
      }
      const failed = libc.errno()
      if (failed === libc.EINTR) continue
      // That the link once went down is told to whoever sends next, though it may be up again.
      if (failed === libc.ENETDOWN && !wasDown) {
        wasDown = true
        continue
      }
      if (failed !== libc.EAGAIN && failed !== libc.ENOBUFS) break
      waitUntil ??= performance.now() + waitForRoomMillis
      if (performance.now() >= waitUntil) break
      libc.poll(writable(fd), 1, 1)
    }
    return sent
  }

  /**
   * Hands over what has come in, and returns how many frames that were. Each is valid during the call only. With `most`
   * it stops there, and the rest is told of by the poller again.
   */
  receive(each: (frame: Buffer) => void, most = Number.POSITIVE_INFINITY): number {
    let received = 0
    for (const fd of this.#fds) {
      while (received < most && this.#fds.length > 0) {
        const count = libc.recvmmsg(
          fd,
          this.#incoming.address,
          Math.min(batch, most - received),
          MSG_DONTWAIT,
          null
        )
        if (count < 0) {
          const failed = libc.errno()
          // That the link went down is told once.
          if (failed === libc.EINTR || failed === libc.ENETDOWN) continue
          break
        }
        received += count
        for (let index = 0; index < count; index++) each(this.#incoming.take(index))
        if (count < batch) break
      }
    }
    return received
  }

  /** How many frames have been lost for lack of room since this was last asked. */
  dropped(): number {
    const [statistics, length] = [Buffer.alloc(8), Buffer.alloc(4)]
    let dropped = 0
    for (const fd of this.#fds) {
      length.writeUInt32LE(8)
      if (libc.getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, statistics, length) === 0)
        dropped += statistics.readUInt32LE(4)
    }
    return dropped
  }

  close(): void {
    for (const fd of this.#fds) libc.close(fd)
    this.#fds = []
  }
}

/** struct pollfd */
const writable = (fd: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32LE(fd, 0)
  bytes.writeInt16LE(POLLOUT, 4)
  return bytes
}
