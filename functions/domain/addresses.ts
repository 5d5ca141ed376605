import ipaddr from "ipaddr.js"

export type Family = "IPv4" | "IPv6"

/** An address as a number: IPv4 as `number` (allocation is the hot path), IPv6 as `bigint`. */
export type AddressNumber = number | bigint

/** A network, from `first` to `last` inclusive. */
export interface Cidr {
  readonly family: Family
  readonly prefix: number
  readonly first: AddressNumber
  readonly last: AddressNumber
  readonly text: string
}

// What has not even the shape is not shown to ipaddr.js, which takes 20 µs to throw and catch.
const isStrictIPv4 = (text: string): boolean =>
  /^\d{1,3}(\.\d{1,3}){3}$/.test(text) && ipaddr.IPv4.isValidFourPartDecimal(text) && !/(^|\.)0\d/.test(text)

const parseIPv6 = (text: string): ipaddr.IPv6 | undefined => {
  if (!/^[\da-fA-F:.]{2,45}$/.test(text) || !ipaddr.IPv6.isValid(text)) return undefined
  if (text.includes(".") && !isStrictIPv4(text.slice(text.lastIndexOf(":") + 1))) return undefined
  return ipaddr.IPv6.parse(text)
}

/**
 * The one way in which we write this address: dotted decimal, or RFC 5952 (lower case, longest run of zeros as `::`).
 * `undefined` for what is not strictly an address: `10.1`, `010.0.0.1`, IPv4-mapped IPv6, anything with a zone or mask.
 */
export const canonicalAddress = (text: string): string | undefined => {
  if (!text.includes(":")) return isStrictIPv4(text) ? text : undefined
  const parsed = parseIPv6(text)
  return parsed === undefined || parsed.isIPv4MappedAddress() ? undefined : parsed.toRFC5952String()
}

/** Says what is wrong with a text that is not an address, and what would be right. */
export const explainAddress = (text: string): string => {
  if (text.includes("%")) return `"${text}" has a zone; write the address without "%" and what follows`
  if (text.includes("/")) return `"${text}" has a mask; write the address alone`
  if (text.includes(":")) {
    const parsed = parseIPv6(text)
    return parsed?.isIPv4MappedAddress()
      ? `"${text}" is an IPv4 address written as IPv6; write ${parsed.toIPv4Address().toString()}`
      : `"${text}" is not an IPv6 address; write one such as fd00::10`
  }
  const decimal = text.replaceAll(/(^|\.)0+(?=\d)/g, "$1")
  return decimal !== text && isStrictIPv4(decimal)
    ? `"${text}" has leading zeros; write ${decimal}`
    : `"${text}" is not an IP address; write four numbers such as 192.168.0.250, or IPv6 such as fd00::10`
}

/** The family of an address, which must be one. */
export const familyOf = (address: string): Family => (address.includes(":") ? "IPv6" : "IPv4")

/** The number of a canonical address. */
export const numberOf = (address: string): AddressNumber => {
  if (familyOf(address) === "IPv6") {
    return ipaddr.IPv6.parse(address).parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n)
  }
  let sum = 0
  let octet = 0
  for (let index = 0; index < address.length; index++) {
    const code = address.charCodeAt(index)
    if (code === 46) {
      sum = sum * 256 + octet
      octet = 0
    } else octet = octet * 10 + code - 48
  }
  return sum * 256 + octet
}

const partsOf = (number: bigint): Array<number> =>
  Array.from({ length: 8 }, (_, index) => Number((number >> BigInt(112 - 16 * index)) & 0xffffn))

/** The canonical address of a number. */
export const addressOf = (number: AddressNumber): string =>
  typeof number === "number"
    ? `${number >>> 24}.${(number >>> 16) & 255}.${(number >>> 8) & 255}.${number & 255}`
    : new ipaddr.IPv6(partsOf(number)).toRFC5952String()

/**
 * The name of the claim that is the lock on this address: `192-168-0-249`; IPv6 with all digits, 39 characters
 * (`fd00-0000-0000-0000-0000-0000-0000-0010`), so that one address has one name.
 */
export const claimName = (address: string): string =>
  familyOf(address) === "IPv4"
    ? address.replaceAll(".", "-")
    : ipaddr.IPv6.parse(address)
        .parts.map((part) => part.toString(16).padStart(4, "0"))
        .join("-")

/** The address that a claim of this name holds; `undefined` when no address has this name. */
export const addressOfClaimName = (name: string): string | undefined => {
  const address = canonicalAddress(name.replaceAll("-", name.length === 39 ? ":" : "."))
  return address !== undefined && claimName(address) === name ? address : undefined
}

/** The address as a network of its own: `/32`, `/128`. */
export const hostCidr = (address: string): string => `${address}/${familyOf(address) === "IPv4" ? 32 : 128}`

const cidrAround = (address: string, prefix: number): Cidr => {
  const number = numberOf(address)
  if (typeof number === "number") {
    const size = 2 ** (32 - prefix)
    const first = number - (number % size)
    return { family: "IPv4", prefix, first, last: first + size - 1, text: `${addressOf(first)}/${prefix}` }
  }
  const size = 1n << BigInt(128 - prefix)
  const first = number - (number % size)
  return { family: "IPv6", prefix, first, last: first + size - 1n, text: `${addressOf(first)}/${prefix}` }
}

/** A network and whether the text named its first address (`10.0.0.0/24`) or another one (`10.0.0.7/24`). */
const parseLoosely = (text: string): { readonly cidr: Cidr; readonly masked: boolean } | undefined => {
  const slash = text.indexOf("/")
  const address = slash < 0 ? undefined : canonicalAddress(text.slice(0, slash))
  const prefix = text.slice(slash + 1)
  if (address === undefined || !/^(0|[1-9]\d{0,2})$/.test(prefix)) return undefined
  if (Number(prefix) > (familyOf(address) === "IPv4" ? 32 : 128)) return undefined
  const cidr = cidrAround(address, Number(prefix))
  return { cidr, masked: numberOf(address) === cidr.first }
}

/** Parses a network strictly; `undefined` for anything else, also where bits after the mask are set. */
export const parseCidr = (text: string): Cidr | undefined => {
  const parsed = parseLoosely(text)
  return parsed?.masked ? parsed.cidr : undefined
}

/** Says what is wrong with a text that `parseCidr` refuses, and what would be right. */
export const explainCidr = (text: string): string => {
  const parsed = parseLoosely(text)
  if (parsed !== undefined) return `"${text}" has bits set after the mask; write ${parsed.cidr.text}`
  const slash = text.indexOf("/")
  const address = slash < 0 ? text : text.slice(0, slash)
  const canonical = canonicalAddress(address)
  if (canonical === undefined) return explainAddress(address)
  return slash < 0
    ? `"${text}" has no mask; write ${hostCidr(canonical)} for this address alone`
    : `"${text}" has no valid mask; write a number from 0 to ${familyOf(canonical) === "IPv4" ? 32 : 128} after the slash`
}

export const cidrContains = (cidr: Cidr, address: string): boolean => {
  if (familyOf(address) !== cidr.family) return false
  const number = numberOf(address)
  return cidr.first <= number && number <= cidr.last
}

const network = (text: string): Cidr => parseCidr(text)!

/** Networks whose addresses no Service may ever have, by what they are for. */
export const unusableNetworks: ReadonlyArray<readonly [what: string, cidr: Cidr]> = [
  ["unspecified", network("0.0.0.0/8")], // RFC 1122 §3.2.1.3: "this network"
  ["loopback", network("127.0.0.0/8")],
  ["link-local", network("169.254.0.0/16")],
  ["multicast", network("224.0.0.0/4")],
  ["broadcast", network("255.255.255.255/32")],
  ["unspecified", network("::/128")],
  ["loopback", network("::1/128")],
  ["link-local", network("fe80::/10")],
  ["multicast", network("ff00::/8")]
]

/** `loopback`, `link-local`, `multicast`, `unspecified` or `broadcast`; `undefined` for an ordinary address. */
export const unusableAs = (address: string): string | undefined =>
  unusableNetworks.find(([, cidr]) => cidrContains(cidr, address))?.[0]
