import { readFileSync } from "node:fs"
import { ipv6At } from "./kernel/addresses.ts"

const isUp = 1
const isGateway = 2

const isByGateway = (flags: string | undefined): boolean =>
  (Number.parseInt(flags ?? "", 16) & (isUp | isGateway)) === (isUp | isGateway)

/** The routers that default routes go to by a link, by the text of `/proc/net/route`: hex, in the host's byte order. */
export const gatewaysIn = (routes: string, link: string): ReadonlyArray<string> =>
  routes
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([name, destination, , flags]) => name === link && destination === "00000000" && isByGateway(flags)
    )
    .map(([, , gateway]) =>
      Buffer.from(gateway ?? "", "hex")
        .reverse()
        .join(".")
    )

/** The same of IPv6, by the text of `/proc/net/ipv6_route`: destination, source and router, each in hex. */
export const gatewaysIn6 = (routes: string, link: string): ReadonlyArray<string> => {
  const gateways = routes
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([destination = "", length, , , , , , , flags, name]) =>
        name === link && /^0+$/.test(destination) && length === "00" && isByGateway(flags)
    )
    .map(([, , , , gateway]) => ipv6At(Buffer.from(gateway ?? "", "hex"), 0))
  return [...new Set(gateways)]
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return ""
  }
}

/** The routers that default routes go to by a link. They are asked for a sign of life. */
export const gatewaysOf = (link: string): ReadonlyArray<string> => [
  ...gatewaysIn(read("/proc/net/route"), link),
  ...gatewaysIn6(read("/proc/net/ipv6_route"), link)
]
