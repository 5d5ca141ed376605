import type { Requests } from "./requests.ts"
import { AF_INET, AF_INET6, dumpAddresses, dumpLinks, dumpRoutes, RTM } from "./rtnetlink.ts"
import { type ReadAddress, type ReadLink, readAddress, readDefaultRoute, readLink } from "./rtnetlinkRead.ts"
import type { Link, LinkAddress } from "./types.ts"

/** Those of one link, or of all (0). */
export const listAddresses = (requests: Requests, linkIndex: number): ReadonlyArray<ReadAddress> => {
  let addresses: Array<ReadAddress> = []
  requests.dump(
    (sequence) => dumpAddresses(sequence, linkIndex),
    () => {
      addresses = []
    },
    (bytes, type, _sequence, start, end) => {
      const address = type === RTM.newAddress ? readAddress(bytes, start, end) : undefined
      if (address !== undefined) addresses.push(address)
    }
  )
  return addresses
}

/** Indices of the links that a default route of the family leaves by. */
const listDefaultRoutes = (
  requests: Requests,
  family: typeof AF_INET | typeof AF_INET6
): ReadonlySet<number> => {
  const links = new Set<number>()
  requests.dump(
    (sequence) => dumpRoutes(sequence, family),
    () => links.clear(),
    (bytes, _type, _sequence, start, end) => {
      for (const link of readDefaultRoute(bytes, start, end)) links.add(link)
    }
  )
  return links
}

/** All links, with their addresses and default routes. */
export const listLinks = (requests: Requests, mark: number): ReadonlyArray<Link> => {
  let links: Array<ReadLink> = []
  requests.dump(
    dumpLinks,
    () => {
      links = []
    },
    (bytes, _type, _sequence, start, end) => {
      const link = readLink(bytes, start, end)
      if (link !== undefined) links.push(link)
    }
  )
  const addresses = Map.groupBy(listAddresses(requests, 0), (address) => address.index)
  const routes4 = listDefaultRoutes(requests, AF_INET)
  const routes6 = listDefaultRoutes(requests, AF_INET6)
  return links.map((link) => ({
    ...link,
    addresses: (addresses.get(link.index) ?? []).map(
      ({ address, prefix, protocol, validSeconds, linkLocal }): LinkAddress => ({
        address,
        prefix,
        marked: protocol === mark,
        validSeconds,
        linkLocal
      })
    ),
    defaultRoutes: [
      ...(routes4.has(link.index) ? [4 as const] : []),
      ...(routes6.has(link.index) ? [6 as const] : [])
    ]
  }))
}
