import * as libc from "./libc.ts"
import { refusal } from "./refused.ts"
import { type Each, eachMessage } from "./rtnetlink.ts"

const AF_NETLINK = 16
const SOCK_RAW = 3
const SOCK_CLOEXEC_NONBLOCK = 0o2004000
const NETLINK_ROUTE = 0
const SOL_NETLINK = 270
const NETLINK_CAP_ACK = 10
const NETLINK_GET_STRICT_CHK = 12
const NLMSG_ERROR = 2
const NLMSG_DONE = 3
const NLM_F_DUMP_INTR = 0x10
const EBADF = 9
const ENOENT = 2
/** The kernel writes up to 32 KiB into one datagram. */
export const datagramBytes = 65_536
const roomBytes = 4 << 20
/** A dump during which something changed is made again; on a host that never rests, what there is must do. */
const dumpAttempts = 5

/** A socket of NETLINK_ROUTE that hears of the groups of this mask. */
export const openNetlink = (groups: number): number => {
  const fd = libc.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC_NONBLOCK, NETLINK_ROUTE)
  if (fd < 0) throw refusal("speak with the kernel about its network", "CAP_NET_ADMIN")
  libc.makeRoom(fd, roomBytes)
  // struct sockaddr_nl
  const address = Buffer.alloc(12)
  address.writeUInt16LE(AF_NETLINK, 0)
  address.writeUInt32LE(groups, 8)
  if (libc.bind(fd, address, address.length) < 0) {
    const failed = libc.errno()
    libc.close(fd)
    throw refusal("speak with the kernel about its network", "CAP_NET_ADMIN", failed)
  }
  return fd
}

/** Asks the kernel, which answers before the question's system call returns: nothing here waits. */
export class Requests {
  readonly #bytes = Buffer.alloc(datagramBytes)
  #fd: number
  #sequence = 0

  constructor() {
    this.#fd = openNetlink(0)
    // Acknowledgements do not repeat the whole question, and dumps are of what was asked for only.
    libc.option(this.#fd, SOL_NETLINK, NETLINK_CAP_ACK, 1)
    libc.option(this.#fd, SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
  }

  /** Asks for changes in one system call; one errno for each, 0 for done. */
  change(count: number, encode: (sequence: number, index: number) => Buffer): Array<number> {
    const results = new Array<number>(count).fill(libc.ENOBUFS)
    if (count === 0) return results
    const first = this.#sequence + 1
    this.#sequence += count
    const bytes = Buffer.concat(Array.from({ length: count }, (_, index) => encode(first + index, index)))
    if (!this.#send(bytes)) return results.fill(this.#fd < 0 ? EBADF : libc.errno())
    let open = count
    // An acknowledgement that finds no room is lost, and must not be waited for.
    while (open > 0) {
      const length = this.#receive()
      if (length < 0) break
      eachMessage(this.#bytes, length, (type, sequence, start) => {
        if (type !== NLMSG_ERROR || sequence < first || sequence >= first + count) return
        results[sequence - first] = 0 - this.#bytes.readInt32LE(start)
        open--
      })
    }
    return results
  }

  /**
   * Hands over what the kernel lists; calls `start` before, and again when something has changed meanwhile and the list
   * is made anew.
   */
  dump(
    encode: (sequence: number) => Buffer,
    start: () => void,
    each: (bytes: Buffer, ...of: Parameters<Each>) => void
  ): void {
    for (let attempt = 1; ; attempt++) {
      start()
      const said = this.#list(encode(++this.#sequence), this.#sequence, each)
      if (said === "whole" || (said === "torn" && attempt >= dumpAttempts)) return
      if (attempt >= dumpAttempts) throw new Error("the kernel does not list its links, addresses or routes")
    }
  }

  #list(question: Buffer, own: number, each: (bytes: Buffer, ...of: Parameters<Each>) => void) {
    if (!this.#send(question)) return "failed"
    let isTorn = false
    let isRefused = false
    for (let isDone = false; !isDone; ) {
      const length = this.#receive()
      if (length < 0) return "failed"
      eachMessage(this.#bytes, length, (type, sequence, at, end, flags) => {
        if (sequence !== own) return
        if ((flags & NLM_F_DUMP_INTR) !== 0) isTorn = true
        if (type === NLMSG_DONE || type === NLMSG_ERROR) {
          // A table of routes that does not exist yet is an empty one.
          if (type === NLMSG_ERROR && this.#bytes.readInt32LE(at) !== -ENOENT) isRefused = true
          isDone = true
        } else each(this.#bytes, type, sequence, at, end, flags)
      })
    }
    return isRefused ? "failed" : isTorn ? "torn" : "whole"
  }

  #send(bytes: Buffer): boolean {
    return this.#fd >= 0 && libc.send(this.#fd, bytes, bytes.length, 0) === bytes.length
  }

  #receive(): number {
    for (;;) {
      const length = libc.recv(this.#fd, this.#bytes, datagramBytes, 0)
      if (length >= 0 || libc.errno() !== libc.EINTR) return length
    }
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd)
    this.#fd = -1
  }
}
