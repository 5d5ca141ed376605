import { arpType } from "./arp.ts"
import { ipv6Type } from "./discovery.ts"
import * as libc from "./libc.ts"
import { messages } from "./messages.ts"
import { heardBytes, linkAddress, openPacketSocket, SOL_PACKET } from "./packetOpen.ts"

const MSG_DONTWAIT = 0x40
const PACKET_STATISTICS = 6
const POLLOUT = 4

/** Frames per system call, of so many bytes at most: those that we want are of 60 to 110. */
const batch = 64
const sentBytes = 1514
/** A full queue of a link empties within a millisecond; a link that does not is not waited for any longer. */
const waitForRoomMillis = 20

/** struct pollfd */
const writable = (fd: number): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeInt32LE(fd, 0)
  bytes.writeInt16LE(POLLOUT, 4)
  return bytes
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
    const arp = openPacketSocket(linkIndex, arpType)
    try {
      return new PacketSocket(linkIndex, [arp, openPacketSocket(linkIndex, ipv6Type)])
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
