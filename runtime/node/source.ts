import ipaddr from "ipaddr.js"

/**
 * The address of a link from which a neighbour is asked for its own, of all that the link has by itself, with their
 * prefixes. IPv6: the link-local one before all, by which every neighbour is reached. IPv4: one whose subnet has the
 * neighbour, since a host with strict reverse path filtering (`rp_filter` 1) drops what comes from elsewhere.
 */
export const sourceFor = (own: ReadonlyArray<string>, neighbour: string): string | undefined => {
  const wanted = ipaddr.parse(neighbour)
  const here = own.map((text) => ({ text, subnet: ipaddr.parseCIDR(text) }))
  const source =
    here.find(({ subnet: [one] }) => wanted.kind() === "ipv6" && isLinkLocal(one)) ??
    here.find(({ subnet }) => subnet[0].kind() === wanted.kind() && wanted.match(subnet as never))
  return source?.text.split("/")[0]
}

const isLinkLocal = (one: ipaddr.IPv4 | ipaddr.IPv6): boolean =>
  one.kind() === "ipv6" && one.range() === "linkLocal"
