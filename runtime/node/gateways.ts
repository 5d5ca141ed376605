import { readFileSync } from "node:fs"

const isUp = 1
const isGateway = 2

/** The routers that default routes go to by a link, by the text of `/proc/net/route`: hex, in the host's byte order. */
export const gatewaysIn = (routes: string, link: string): ReadonlyArray<string> =>
  routes
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter(
      ([name, destination, , flags]) =>
        name === link &&
        destination === "00000000" &&
        (Number.parseInt(flags ?? "", 16) & (isUp | isGateway)) === (isUp | isGateway)
    )
    .map(([, , gateway]) =>
      Buffer.from(gateway ?? "", "hex")
        .reverse()
        .join(".")
    )

/** The IPv4 routers that default routes go to by a link. They are asked for a sign of life. */
export const gatewaysOf = (link: string): ReadonlyArray<string> => {
  try {
    return gatewaysIn(readFileSync("/proc/net/route", "utf8"), link)
  } catch {
    return []
  }
}
