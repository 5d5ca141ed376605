import type { FleetLink, FleetNode, FleetView } from "#runtime"
import type { IpNode } from "./kinds.ts"

/**
 * After so long a node that has not been heard of has dropped its addresses: a kernel's lifetime of 10 s, and the
 * takeover. Only time in which NATS was there counts.
 */
const goneMillis = 12_000

/** Whether nothing is on the node's links any more, as far as anybody can know. */
export const isGone = (name: string, fleet: FleetView): boolean => {
  const node = fleet.nodes.get(name)
  return node === undefined ? fleet.followedMillis() >= goneMillis : node.state === "abandoned"
}

export const linkOf = (node: FleetNode | undefined, name: string): FleetLink | undefined =>
  node?.links.find((link) => link.name === name)

/** What an IpNode's status is to say. */
export interface NodeState {
  readonly ready: boolean
  readonly addresses: number
  readonly link: string | undefined
  readonly macs: ReadonlyArray<string>
  /** Of the condition `Ready`. */
  readonly reason: "Alive" | "NotHeardOf"
  readonly message: string
}

/** One without links has not spoken itself: it is known because something is placed there. */
export const hasSpoken = (node: FleetNode | undefined): node is FleetNode =>
  node !== undefined && node.links.length > 0

/** What the status of an IpNode is to say. `undefined`: it is too early to say anything of it. */
export const nodeStateOf = (
  name: string,
  status: IpNode["status"],
  fleet: FleetView
): NodeState | undefined => {
  const node = fleet.nodes.get(name)
  if (!hasSpoken(node) && !isGone(name, fleet)) return undefined
  const known = hasSpoken(node)
    ? { link: mainLink(node, fleet), macs: [...new Set(node.links.map(({ mac }) => mac))].sort() }
    : { link: status?.link, macs: status?.macs ?? [] }
  if (hasSpoken(node) && node.state === "alive") {
    const addresses = fleet.inventories.get(name)?.held.size ?? status?.addresses ?? 0
    return { ready: true, addresses, ...known, reason: "Alive", message: `extip ${node.version} runs on it` }
  }
  return {
    ready: false,
    // What others have not taken over yet. A lost node's own last word counts what they have as well.
    addresses: isGone(name, fleet) ? 0 : fleet.heldBy(name).size,
    ...known,
    reason: "NotHeardOf",
    message: "nothing is heard of it; does extip node run there, and does it reach NATS?"
  }
}

/** The interface with the most addresses of ours; without any the one that they would be given by default. */
const mainLink = ({ name, links }: FleetNode, fleet: FleetView): string | undefined => {
  const counts = new Map<string, number>()
  for (const { link } of fleet.inventories.get(name)?.held.values() ?? []) {
    counts.set(link, (counts.get(link) ?? 0) + 1)
  }
  const rank = (link: FleetLink): number =>
    4 * Number(link.carrier) + 2 * Number(link.chosen) + Number(link.defaultRoutes.length > 0)
  const inOrder = links.toSorted(
    (one, other) =>
      (counts.get(other.name) ?? 0) - (counts.get(one.name) ?? 0) ||
      rank(other) - rank(one) ||
      (one.name < other.name ? -1 : 1)
  )
  return inOrder[0]?.name
}
