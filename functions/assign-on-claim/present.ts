import { type FleetView, fittingLink, type Placement, type Report } from "#runtime"
import { isSucceeded, newestReport } from "../domain/claim-state.ts"
import type { OnLink } from "./on-links.ts"
import type { World } from "./world.ts"

/**
 * After so long a node that has not come back has dropped its addresses: a kernel's lifetime of 10 s, and the takeover.
 * Only time in which NATS was there counts.
 */
export const returnMillis = 12_000

/** Who has a claim's address now, and how that is known. */
export interface Present {
  readonly node: string
  /**
   * - `taken`: it says that it has taken over from a silent holder.
   * - `link`: it has it on a link.
   * - `placement`: that is where it was placed.
   * - `status`: nothing else is known, but the claim says that it was there.
   */
  readonly by: "taken" | "link" | "placement" | "status"
}

/** `awaited`: nothing has been heard of it, but it is too early to say that it does not come. */
export type NodeState = "alive" | "lost" | "abandoned" | "awaited"

export const stateOf = (fleet: FleetView, name: string): NodeState => {
  const node = fleet.nodes.get(name)
  if (node === undefined) return fleet.followedMillis() < returnMillis ? "awaited" : "abandoned"
  // Without links it has not spoken itself yet: it is there only because something is placed on it.
  return node.state === "alive" && node.links.length === 0 ? "awaited" : node.state
}

/**
 * Whether a node that stands by can take the address over. Its own runtime decides that, and goes by its links: what
 * else speaks against the node does not keep it from doing so.
 */
export const canTakeOver = (
  node: string,
  { address, link }: Pick<Placement, "address" | "link">,
  fleet: FleetView
): boolean =>
  stateOf(fleet, node) === "alive" &&
  fittingLink(fleet.nodes.get(node)?.links ?? [], address, link) !== undefined

/** Who says that it has taken the address over from a holder that was silent, and has it still. */
const takerOf = (claim: string, term: number, fleet: FleetView): string | undefined => {
  let last: Report | undefined
  for (const [node, report] of fleet.reports(claim)) {
    if (report.what !== "taken" || report.term < term || stateOf(fleet, node) === "abandoned") continue
    if (fleet.inventories.get(node)?.held.has(claim) === false) continue
    // Of one that is lost it may be of a claim before this one: another one has had the address since.
    const isOver = Array.from(fleet.reports(claim).values()).some(({ term: later }) => later > report.term)
    if (isOver && stateOf(fleet, node) !== "alive") continue
    if (last === undefined || report.term > last.term || (report.term === last.term && node < last.node))
      last = report
  }
  return last?.node
}

/** Whether the node may have the address, by what is heard of it. Of one that is lost it is not, once another has it. */
const mayHaveIt = (claim: string, node: string | undefined, fleet: FleetView): boolean => {
  if (node === undefined) return false
  const state = stateOf(fleet, node)
  const isThere = state === "alive" || state === "awaited"
  return isThere && fleet.inventories.get(node)?.held.has(claim) !== false
}

/**
 * Who has the address. A takeover counts before the placement that it was made under; else the newest of placement and
 * kernels does. A node that has the address by an older placement is on the way to give it away, unless the new holder
 * has not got it yet and the old one may keep it: then nothing need move at all.
 */
export const presentHolder = (
  claim: string,
  placement: Placement | undefined,
  statusNode: string | undefined,
  fleet: FleetView,
  onLinks: ReadonlyArray<OnLink>,
  mayKeep: (node: string) => boolean
): Present | undefined => {
  const term = placement?.term ?? 0
  const placed = placement?.holder
  // What is placed nowhere has been freed since, or is to be: who has it on a link says so.
  const taker = placement === undefined ? undefined : takerOf(claim, term, fleet)
  if (taker !== undefined) return { node: taker, by: "taken" }
  const [newest] = onLinks
  if (newest !== undefined && newest.node !== placed && newest.term > term) {
    return { node: newest.node, by: "link" }
  }
  if (newest !== undefined && !mayHaveIt(claim, placed, fleet)) {
    const other = onLinks.find((one) => one.lives && mayKeep(one.node) && !isSucceeded(claim, one, fleet))
    if (other !== undefined) return { node: other.node, by: "link" }
  }
  if (placed !== undefined) return { node: placed, by: "placement" }
  return statusNode === undefined ? undefined : { node: statusNode, by: "status" }
}

/** Until when the claim is on no node, because a foreign machine has its address. Milliseconds since the epoch. */
export const setAsideUntil = (
  claim: string,
  placement: Placement | undefined,
  status: { readonly phase?: string; readonly retryAt?: string } | undefined,
  { fleet, conflictRetryMillis }: Pick<World, "fleet" | "conflictRetryMillis">,
  onLinks: ReadonlyArray<OnLink>
): number | undefined => {
  const retryAt = Date.parse(status?.retryAt ?? "") || 0
  const report = newestReport(claim, fleet)
  if (report?.what === "conflict") {
    // What was placed since is the new attempt.
    if (placement?.holder !== undefined && placement.term > report.term) return undefined
    return retryAt > report.at ? retryAt : report.at + conflictRetryMillis
  }
  const isOnLink = report?.what === "bound" || report?.what === "taken" || onLinks.length > 0
  return status?.phase === "Conflict" && placement?.holder === undefined && !isOnLink ? retryAt : undefined
}
