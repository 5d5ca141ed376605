import { isIPv4 } from "node:net"
import ipaddr from "ipaddr.js"

const hex = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"))

/** The MAC at `offset`: `aa:bb:cc:dd:ee:ff` */
export const macAt = (bytes: Uint8Array, offset: number): string =>
  `${hex[bytes[offset]!]}:${hex[bytes[offset + 1]!]}:${hex[bytes[offset + 2]!]}:${hex[bytes[offset + 3]!]}:${hex[bytes[offset + 4]!]}:${hex[bytes[offset + 5]!]}`

export const macBytes = (mac: string): Buffer => Buffer.from(mac.replaceAll(":", ""), "hex")

/** The IPv4 address at `offset`, dotted. */
export const ipv4At = (bytes: Uint8Array, offset: number): string =>
  `${bytes[offset]}.${bytes[offset + 1]}.${bytes[offset + 2]}.${bytes[offset + 3]}`

/** The IPv6 address at `offset`, as in RFC 5952; by the same library that pools are read with, so that both write it alike. */
export const ipv6At = (bytes: Uint8Array, offset: number): string => {
  const parts: Array<number> = []
  for (let at = offset; at < offset + 16; at += 2) parts.push((bytes[at]! << 8) | bytes[at + 1]!)
  return new ipaddr.IPv6(parts).toRFC5952String()
}

/** The address as the network writes it, 4 or 16 bytes. Throws for what is no address. */
export const addressBytes = (address: string): Buffer => {
  if (address.includes(":")) return Buffer.from(ipaddr.IPv6.parse(address).toByteArray())
  if (!isIPv4(address)) throw new TypeError(`"${address}" is not an IP address`)
  return Buffer.from(address.split(".").map(Number))
}

/** Whether a machine sends from the MAC at `offset`: it is neither of all zeros nor a group's. */
export const isStation = (bytes: Uint8Array, offset: number): boolean => {
  if ((bytes[offset]! & 1) === 1) return false
  for (let at = offset; at < offset + 6; at++) if (bytes[at] !== 0) return true
  return false
}
