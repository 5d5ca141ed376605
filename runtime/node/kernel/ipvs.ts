import { readFileSync } from "node:fs"
import type { Link } from "./types.ts"

/** kube-proxy's own link in IPVS mode: it is down, and has every address of every Service. */
export const ipvsLink = "kube-ipvs0"

const setting = (name: string): string | undefined => {
  try {
    return readFileSync(`/proc/sys/net/ipv4/conf/all/${name}`, "utf8").trim()
  } catch {
    return undefined
  }
}

/**
 * What is wrong when kube-proxy runs in IPVS mode without strict ARP, in one sentence; `undefined` when nothing is. It
 * then has every external address on a link of its own on every node, and each of them answers for it on the wire.
 */
export const ipvsTrouble = (
  links: ReadonlyArray<Pick<Link, "name">>,
  read: (name: string) => string | undefined = setting
): string | undefined => {
  if (!links.some((link) => link.name === ipvsLink)) return undefined
  const [ignore, announce] = [read("arp_ignore"), read("arp_announce")]
  return ignore === "1" && announce === "2"
    ? undefined
    : `kube-proxy runs in IPVS mode without strict ARP (net.ipv4.conf.all.arp_ignore is ${ignore ?? "not to be read"}, arp_announce is ${announce ?? "not to be read"}), so that every node answers for every external address: set ipvs.strictARP to true in the configuration of kube-proxy and restart it`
}
