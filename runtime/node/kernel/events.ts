import * as libc from "./libc.ts"
import { datagramBytes, openNetlink } from "./requests.ts"
import { type Each, eachMessage, RTM } from "./rtnetlink.ts"

const RTMGRP_LINK = 1
const RTMGRP_IPV4_IFADDR = 0x10
const RTMGRP_IPV6_IFADDR = 0x100

const LoadByte = 0x30
const LoadWord = 0x20
const [LoadNumber, LoadIndex, ToIndex] = [0x00, 0x01, 0x07]
const [LoadByteAtIndex, LoadWordAtIndex] = [0x50, 0x40]
const [Keep, IndexFromKept] = [0x02, 0x61]
const [Equal, EqualsIndex, Return] = [0x15, 0x1d, 0x06]
/** Where BPF finds an attribute: from the offset in the accumulator on, of the type in the index register. */
const attribute = -0x1000 + 12
const [firstAttribute, cacheInfo, protocol] = [24, 6, 11]

/**
 * Drops in the kernel, before it wakes us: what bridges say of their ports, and the renewal of addresses with our mark,
 * of which a node makes hundreds a second. A renewed address is one whose last change is not its creation.
 */
const filter = (mark: number): ReadonlyArray<libc.Step> => [
  [LoadByte, 0, 0, 4],
  [Equal, 3, 0, RTM.newAddress],
  [Equal, 18, 0, RTM.deleteAddress],
  [LoadByte, 0, 0, 16],
  [Equal, 16, 17, 0],
  [LoadNumber, 0, 0, firstAttribute],
  [LoadIndex, 0, 0, protocol],
  [LoadWord, 0, 0, attribute],
  [Equal, 12, 0, 0],
  [ToIndex, 0, 0, 0],
  [LoadByteAtIndex, 0, 0, 4],
  [Equal, 0, 9, mark],
  [LoadNumber, 0, 0, firstAttribute],
  [LoadIndex, 0, 0, cacheInfo],
  [LoadWord, 0, 0, attribute],
  [ToIndex, 0, 0, 0],
  [LoadWordAtIndex, 0, 0, 12],
  [Keep, 0, 0, 0],
  [LoadWordAtIndex, 0, 0, 16],
  [IndexFromKept, 0, 0, 0],
  [EqualsIndex, 0, 1, 0],
  [Return, 0, 0, datagramBytes],
  [Return, 0, 0, 0]
]

/** What the kernel tells of links and addresses, as it tells it. */
export class Events {
  readonly #bytes = Buffer.alloc(datagramBytes)
  #fd: number

  constructor(mark: number) {
    this.#fd = openNetlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR)
    // Without it more would be told, and nothing would be missed.
    libc.attachFilter(this.#fd, filter(mark))
  }

  get fd(): number {
    return this.#fd
  }

  /** Hands over what has come in. False when some of it was lost for lack of room. */
  drain(each: (bytes: Buffer, ...of: Parameters<Each>) => void): boolean {
    let isWhole = true
    while (this.#fd >= 0) {
      const length = libc.recv(this.#fd, this.#bytes, datagramBytes, 0)
      if (length < 0) {
        const failed = libc.errno()
        if (failed === libc.ENOBUFS) isWhole = false
        else if (failed !== libc.EINTR) break
      } else eachMessage(this.#bytes, length, (...of) => each(this.#bytes, ...of))
    }
    return isWhole
  }

  close(): void {
    if (this.#fd >= 0) libc.close(this.#fd)
    this.#fd = -1
  }
}
