/** Numbers from linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h and linux/if_link.h. All in the byte order of the host. */
export const RTM = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  newAddress: 20,
  deleteAddress: 21,
  getAddress: 22,
  getRoute: 26
} as const
const NLM = { request: 1, ack: 4, dump: 0x300, replace: 0x100, exclusive: 0x200, create: 0x400 } as const
export const AF_INET = 2
export const AF_INET6 = 10
export const IFA = { address: 1, local: 2, cacheInfo: 6, flags: 8, protocol: 11 } as const
const IFA_F_NODAD = 2
const IFA_F_NOPREFIXROUTE = 0x200
export const IFLA = { address: 1, name: 3, linkInfo: 18, extendedMask: 29 } as const
const RTEXT_FILTER_SKIP_STATS = 8
export const RT_TABLE_MAIN = 254
export const forever = 0xffffffff
const headerBytes = 16
export const aligned = (length: number): number => (length + 3) & ~3

const message = (
  type: number,
  flags: number,
  sequence: number,
  fixed: Uint8Array,
  attributes: ReadonlyArray<readonly [type: number, value: Uint8Array]>
): Buffer => {
  const length = attributes.reduce(
    (sum, [, value]) => sum + 4 + aligned(value.length),
    headerBytes + fixed.length
  )
  const bytes = Buffer.alloc(length)
  bytes.writeUInt32LE(length, 0)
  bytes.writeUInt16LE(type, 4)
  bytes.writeUInt16LE(flags, 6)
  bytes.writeUInt32LE(sequence, 8)
  bytes.set(fixed, headerBytes)
  let at = headerBytes + fixed.length
  for (const [attribute, value] of attributes) {
    bytes.writeUInt16LE(4 + value.length, at)
    bytes.writeUInt16LE(attribute, at + 2)
    bytes.set(value, at + 4)
    at += 4 + aligned(value.length)
  }
  return bytes
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}

/** struct ifaddrmsg */
const addressHeader = (address: Uint8Array, linkIndex: number): Buffer =>
  Buffer.concat([
    Buffer.of(address.length === 4 ? AF_INET : AF_INET6, address.length * 8, 0, 0),
    uint32(linkIndex)
  ])

export interface NewAddress {
  readonly linkIndex: number
  readonly address: Uint8Array
  readonly mark: number
  /** Until the kernel removes it; `forever` for never. */
  readonly validSeconds: number
  /**
   * Fails with EEXIST when the link has the address already, whoever put it there. Otherwise what is there is replaced,
   * mark and lifetime with it, and what is not there is made: the kernel does so for IPv4 whatever the flags say.
   */
  readonly exclusive: boolean
}

/**
 * A whole address (/32, /128), without a route to a subnet and never chosen as the source of a connection: preferred
 * for 0 seconds. IPv6 is not probed for by the kernel, and answers at once.
 */
export const newAddress = (sequence: number, what: NewAddress): Buffer => {
  const flags = NLM.request | NLM.ack | NLM.create | (what.exclusive ? NLM.exclusive : NLM.replace)
  const isIPv4 = what.address.length === 4
  const lifetimes = Buffer.alloc(16)
  lifetimes.writeUInt32LE(what.validSeconds, 4)
  return message(RTM.newAddress, flags, sequence, addressHeader(what.address, what.linkIndex), [
    [IFA.local, what.address],
    [IFA.address, what.address],
    [IFA.flags, uint32(isIPv4 ? IFA_F_NOPREFIXROUTE : IFA_F_NOPREFIXROUTE | IFA_F_NODAD)],
    [IFA.cacheInfo, lifetimes],
    [IFA.protocol, Buffer.of(what.mark)]
  ])
}

export const deleteAddress = (sequence: number, linkIndex: number, address: Uint8Array): Buffer =>
  message(RTM.deleteAddress, NLM.request | NLM.ack, sequence, addressHeader(address, linkIndex), [
    [IFA.local, address],
    [IFA.address, address]
  ])

export const dumpLinks = (sequence: number): Buffer =>
  message(RTM.getLink, NLM.request | NLM.dump, sequence, Buffer.alloc(16), [
    [IFLA.extendedMask, uint32(RTEXT_FILTER_SKIP_STATS)]
  ])

/** Of one link, or of all (0). */
export const dumpAddresses = (sequence: number, linkIndex: number): Buffer =>
  message(
    RTM.getAddress,
    NLM.request | NLM.dump,
    sequence,
    Buffer.concat([Buffer.alloc(4), uint32(linkIndex)]),
    []
  )

/** Of the main table: rules that lead to others are the administrator's own affair. */
export const dumpRoutes = (sequence: number, family: typeof AF_INET | typeof AF_INET6): Buffer =>
  message(
    RTM.getRoute,
    NLM.request | NLM.dump,
    sequence,
    Buffer.of(family, 0, 0, 0, RT_TABLE_MAIN, 0, 0, 0, 0, 0, 0, 0),
    []
  )

/** Where a message lies in what has been received. `start` is after its header. */
export type Each = (type: number, sequence: number, start: number, end: number, flags: number) => void

export const eachMessage = (bytes: Buffer, length: number, each: Each): void => {
  for (let at = 0; at + headerBytes <= length; ) {
    const size = bytes.readUInt32LE(at)
    if (size < headerBytes || at + size > length) return
    each(
      bytes.readUInt16LE(at + 4),
      bytes.readUInt32LE(at + 8),
      at + headerBytes,
      at + size,
      bytes.readUInt16LE(at + 6)
    )
    at += aligned(size)
  }
}
