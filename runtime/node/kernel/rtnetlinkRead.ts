import { ipv4At, ipv6At, macAt } from "./addresses.ts"
import { AF_INET, AF_INET6, aligned, forever, IFA, IFLA, RT_TABLE_MAIN } from "./rtnetlink.ts"

const IFF = { up: 1, loopback: 8, lowerUp: 0x10000 } as const
const IFLA_INFO_KIND = 1
const ARPHRD_ETHER = 1
const RTA = { link: 4, multipath: 9 } as const
const RTN_UNICAST = 1
const RT_SCOPE_LINK = 253

/** Where the value of an attribute starts, if it is there with that many bytes; its length stands 4 bytes before. */
const find = (bytes: Buffer, start: number, end: number, type: number, size = 0): number | undefined => {
  for (let at = start; at + 4 <= end; ) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > end) return undefined
    // The upper two bits say that it is nested, or in network byte order.
    if ((bytes.readUInt16LE(at + 2) & 0x3fff) === type) return length >= 4 + size ? at + 4 : undefined
    at += aligned(length)
  }
  return undefined
}
const valueEnd = (bytes: Buffer, value: number): number => value - 4 + bytes.readUInt16LE(value - 4)
const text = (bytes: Buffer, value: number): string =>
  bytes.toString("utf8", value, valueEnd(bytes, value)).replace(/\0.*$/s, "")

export interface ReadLink {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly up: boolean
  readonly carrier: boolean
  readonly loopback: boolean
  readonly kind: string | undefined
}

/** `undefined` for what is told of a link by something else than itself: that it joins or leaves a bridge. */
export const readLink = (bytes: Buffer, start: number, end: number): ReadLink | undefined => {
  if (end < start + 16 || bytes[start] !== 0) return undefined
  const flags = bytes.readUInt32LE(start + 8)
  const name = find(bytes, start + 16, end, IFLA.name)
  const mac = find(bytes, start + 16, end, IFLA.address)
  const info = find(bytes, start + 16, end, IFLA.linkInfo)
  const kind = info === undefined ? undefined : find(bytes, info, valueEnd(bytes, info), IFLA_INFO_KIND)
  const isEthernet = bytes.readUInt16LE(start + 2) === ARPHRD_ETHER && mac !== undefined
  return {
    index: bytes.readInt32LE(start + 4),
    name: name === undefined ? "" : text(bytes, name),
    mac: isEthernet && valueEnd(bytes, mac) === mac + 6 ? macAt(bytes, mac) : "",
    up: (flags & IFF.up) !== 0,
    carrier: (flags & IFF.lowerUp) !== 0,
    loopback: (flags & IFF.loopback) !== 0,
    kind: kind === undefined ? undefined : text(bytes, kind)
  }
}

export interface ReadAddress {
  readonly index: number
  readonly address: string
  readonly prefix: number
  /** Who put it there: 0 when nobody said. */
  readonly protocol: number
  readonly validSeconds: number
  readonly linkLocal: boolean
}

/** `undefined` for families other than IP. */
export const readAddress = (bytes: Buffer, start: number, end: number): ReadAddress | undefined => {
  if (end < start + 8) return undefined
  const family = bytes[start]
  if (family !== AF_INET && family !== AF_INET6) return undefined
  const attributes = start + 8
  // On a point-to-point link `address` is that of the other end.
  const at = find(bytes, attributes, end, IFA.local) ?? find(bytes, attributes, end, IFA.address)
  if (at === undefined || valueEnd(bytes, at) - at !== (family === AF_INET ? 4 : 16)) return undefined
  const cacheInfo = find(bytes, attributes, end, IFA.cacheInfo, 16)
  const valid = cacheInfo === undefined ? forever : bytes.readUInt32LE(cacheInfo + 4)
  const protocol = find(bytes, attributes, end, IFA.protocol, 1)
  return {
    index: bytes.readUInt32LE(start + 4),
    address: family === AF_INET ? ipv4At(bytes, at) : ipv6At(bytes, at),
    prefix: bytes[start + 1]!,
    protocol: protocol === undefined ? 0 : bytes[protocol]!,
    validSeconds: valid === forever ? Number.POSITIVE_INFINITY : valid,
    linkLocal: family === AF_INET6 && bytes[start + 3] === RT_SCOPE_LINK
  }
}

/** The links that a default route leaves by; none for any other route. */
export const readDefaultRoute = (bytes: Buffer, start: number, end: number): ReadonlyArray<number> => {
  if (end < start + 12 || bytes[start + 1] !== 0 || bytes[start + 7] !== RTN_UNICAST) return []
  if (bytes[start + 4] !== RT_TABLE_MAIN) return []
  const link = find(bytes, start + 12, end, RTA.link, 4)
  if (link !== undefined) return [bytes.readUInt32LE(link)]
  const multipath = find(bytes, start + 12, end, RTA.multipath)
  const links: Array<number> = []
  if (multipath === undefined) return links
  // struct rtnexthop: length, flags, hops, index
  for (let at = multipath; at + 8 <= valueEnd(bytes, multipath); ) {
    const length = bytes.readUInt16LE(at)
    if (length < 8) break
    links.push(bytes.readInt32LE(at + 4))
    at += aligned(length)
  }
  return links
}
