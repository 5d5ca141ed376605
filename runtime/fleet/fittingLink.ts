import ipaddr from "ipaddr.js"
import type { FittingLink, FleetLink } from "../Fleet.ts"

/** The interface of a node that fits an address; see `FittingLink`. */
export const fittingLink: FittingLink = (links, address, pin) => {
  if (!ipaddr.isValid(address)) return undefined
  const wanted = ipaddr.parse(address)
  const candidates =
    pin !== undefined
      ? links.filter(({ name }) => name === pin)
      : firstSome(
          links.filter(({ chosen }) => chosen),
          links.filter((link) => prefixOf(link, wanted) >= 0),
          links.filter(({ defaultRoutes }) => defaultRoutes.includes(wanted.kind() === "ipv4" ? 4 : 6))
        )
  // Of several that fit: one that works, then the narrowest subnet, then the name, so that every node and host agree.
  const [best] = candidates
    .filter(({ carrier }) => carrier)
    .toSorted(
      (a, b) => prefixOf(b, wanted) - prefixOf(a, wanted) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)
    )
  return best
}

const firstSome = (...several: ReadonlyArray<ReadonlyArray<FleetLink>>): ReadonlyArray<FleetLink> =>
  several.find(({ length }) => length > 0) ?? []

/**
 * The length of the longest prefix of the link that contains the address; -1 when none does. An address alone (/32, /128)
 * is no subnet: whoever has put an external address somewhere by himself has not said by that where the LAN is.
 */
const prefixOf = (link: FleetLink, wanted: ipaddr.IPv4 | ipaddr.IPv6): number => {
  let longest = -1
  for (const text of link.subnets) {
    const subnet = parsed(text)
    if (subnet === undefined || subnet[0].kind() !== wanted.kind()) continue
    if (subnet[1] === (wanted.kind() === "ipv4" ? 32 : 128)) continue
    if (wanted.match(subnet as never)) longest = Math.max(longest, subnet[1])
  }
  return longest
}

type Subnet = readonly [ipaddr.IPv4 | ipaddr.IPv6, number]

/** Subnets are asked again and again, for every address. */
const known = new Map<string, Subnet | undefined>()

const parsed = (text: string): Subnet | undefined => {
  if (known.has(text)) return known.get(text)
  if (known.size > 10_000) known.clear()
  const subnet = ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined
  known.set(text, subnet)
  return subnet
}
