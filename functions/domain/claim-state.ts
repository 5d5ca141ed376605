import type { FleetView, Report } from "#runtime"
import { addressOfClaim } from "./holding.ts"
import type { IpClaim } from "./kinds.ts"
import { hasSpoken, isGone, linkOf } from "./node-state.ts"
import type { Settings } from "./settings.ts"

/** What a claim's status is to say. */
export interface ClaimState {
  readonly phase: "Pending" | "Bound" | "Conflict"
  readonly node?: string
  readonly link?: string
  readonly mac?: string
  /** Once it is there it stays: an address that was never bound has none. */
  readonly boundAt?: string
  readonly retryAt?: string
  /** Of the condition `Bound`. */
  readonly reason: "OnNode" | "NotPlaced" | "WaitingForNode" | "NodeLost" | "HeldByForeign"
  readonly message: string
}

/** A node that has the address on a link. */
interface Holding {
  readonly node: string
  readonly link: string
  readonly mac: string
  readonly term: number
  readonly isTaken: boolean
  /** Milliseconds since the epoch; `undefined` when only its inventory says so. */
  readonly at: number | undefined
}

/** RFC 3339 with seconds, as the API server writes times. */
export const timeOf = (millis: number): string => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z")

/**
 * What the status of a claim is to say, by what the nodes have said. `undefined`: it stays as it is. Whoever had the
 * address has not been heard of in this life of JetStream; or there is no node at all, and nothing was said before: where
 * addresses are announced by other means, no claim costs a write for that.
 */
export const claimStateOf = (
  claim: IpClaim,
  fleet: FleetView,
  { conflictRetryMillis }: Pick<Settings, "conflictRetryMillis">,
  now: number
): ClaimState | undefined => {
  const { name } = claim.metadata
  if (claim.status === undefined && fleet.nodes.size === 0 && fleet.reports(name).size === 0) return undefined
  const { status = {} } = claim
  const placed = fleet.placements.get(name)?.holder
  const holder = holderOf(claim, fleet)
  if (holder !== undefined) return boundTo(holder, status, now)
  const newest = newestReport(name, fleet)
  const { node, link, mac } = status
  const boundAt = status.boundAt ?? boundSince(claim, fleet)
  const ever = boundAt === undefined ? {} : { boundAt }
  if (
    newest?.what === "conflict" &&
    isStillSo(newest, status, fleet.placements.get(name), conflictRetryMillis, now)
  ) {
    return {
      phase: "Conflict",
      ...ever,
      retryAt: timeOf(newest.at + conflictRetryMillis),
      reason: "HeldByForeign",
      message: `another machine (${newest.foreign ?? "of unknown MAC"}) answers for ${addressOfClaim(claim)}`
    }
  }
  if (newest === undefined && status.phase === "Conflict") return undefined
  const had = node === undefined ? "hasNot" : holdingOf(name, node, fleet)
  const isLost = node !== undefined && had !== "hasNot"
  if (isLost && !isGone(node, fleet)) return undefined
  // Nobody has taken it over. When the whole cluster comes back with nothing in JetStream, it is theirs again, though
  // they say that they have nothing before it is placed with them.
  const said = node === undefined ? undefined : fleet.reports(name).get(node)
  // The tails of streams may be lost: what is left of them may be of before it was bound, or of another claim.
  const isOld = boundAt !== undefined && said !== undefined && said.at < Date.parse(boundAt)
  const gaveBack = (said?.what === "released" || said?.what === "conflict") && !isOld
  const isTheirs = isLost || (node !== undefined && !gaveBack)
  const last =
    isTheirs && (placed === undefined || placed === node)
      ? { node, ...(link === undefined ? {} : { link }), ...(mac === undefined ? {} : { mac }) }
      : undefined
  const pending = { phase: "Pending", ...last, ...ever } as const
  if (isLost && last !== undefined) {
    return { ...pending, reason: "NodeLost", message: `${node}, which had it, is lost` }
  }
  if (placed !== undefined) {
    return { ...pending, reason: "WaitingForNode", message: `${placed} is to put it on a link` }
  }
  const message = `no node has been chosen; extip why assign-on-claim ipclaim/${name} says why`
  return { ...pending, reason: "NotPlaced", message }
}

/** Since when a node had the claim's address until a foreign machine took it, though that was never recorded. */
const boundSince = (
  { metadata: { name, creationTimestamp } }: IpClaim,
  fleet: FleetView
): string | undefined => {
  for (const { boundAt } of fleet.reports(name).values()) {
    if (boundAt !== undefined && boundAt >= (Date.parse(creationTimestamp) || 0)) return timeOf(boundAt)
  }
  return undefined
}

/**
 * Whether a conflict that was reported says something of this claim. The report is of the address: it may have been said
 * of a claim before this one, long ago or before it was placed anew.
 */
const isStillSo = (
  report: Report,
  status: NonNullable<IpClaim["status"]>,
  placement: { readonly term: number } | undefined,
  retryMillis: number,
  now: number
): boolean =>
  status.phase === "Conflict" ||
  (report.at + retryMillis > now && (placement === undefined || placement.term <= report.term))

const boundTo = (
  { node, link, mac, at }: Holding,
  status: NonNullable<IpClaim["status"]>,
  now: number
): ClaimState => {
  // A newer placement on the same node is told as well: it has been there since before.
  const isSame = status.node === node && (status.phase === "Bound" || at === undefined)
  const boundAt = (isSame ? status.boundAt : undefined) ?? timeOf(at ?? now)
  return {
    phase: "Bound",
    node,
    link,
    mac,
    boundAt,
    reason: "OnNode",
    message: `on ${node} (${link}, ${mac})`
  }
}

/** Whether the node has the address, by its kernel if that is known, else by what it said last. */
const holdingOf = (claim: string, node: string, fleet: FleetView): Holding | "hasNot" | "unknown" => {
  const said = fleet.reports(claim).get(node)
  const isBound = said?.what === "bound" || said?.what === "taken"
  const inventory = fleet.inventories.get(node)
  if (inventory === undefined) {
    if (said === undefined) return "unknown"
    return isBound ? { ...said, isTaken: said.what === "taken" } : "hasNot"
  }
  const held = inventory.held.get(claim)
  if (held === undefined) return "hasNot"
  const { link, term } = held
  const isAsSaid = isBound && said.link === link
  // A bridge's is another one when it gets a port.
  const mac = linkOf(fleet.nodes.get(node), link)?.mac ?? (isAsSaid ? said.mac : "")
  const isTaken = isAsSaid && said.what === "taken" && said.term === term
  return { node, link, mac, term, isTaken, at: isAsSaid ? said.at : undefined }
}

/** Of the nodes that have it, the one with the newest placement; of equals who took it from one that was silent. */
const holderOf = (claim: IpClaim, fleet: FleetView): Holding | undefined => {
  const { name } = claim.metadata
  const nodes = new Set(fleet.reports(name).keys())
  for (const [node, { held }] of fleet.inventories) if (held.has(name)) nodes.add(node)
  const placement = fleet.placements.get(name)
  const rank = ({ term, isTaken, node }: Holding): ReadonlyArray<number> => [
    term,
    Number(isTaken),
    Number(node === placement?.holder),
    Number(node === claim.status?.node)
  ]
  // What a lost node said last may be of a claim before this one: it never heard that that one was deleted.
  // And one that this process has not heard of itself, since only something is placed there, may be gone for long.
  const isOfThisClaim = (node: string): boolean =>
    hasSpoken(fleet.nodes.get(node)) &&
    (fleet.nodes.get(node)?.state === "alive" || claim.status?.node === node)
  let best: Holding | undefined
  for (const node of [...nodes].sort()) {
    const holding = holdingOf(name, node, fleet)
    if (typeof holding === "string" || isGone(node, fleet) || !isOfThisClaim(node)) continue
    if (best === undefined || isAbove(rank(holding), rank(best))) best = holding
  }
  return best
}

const isAbove = (one: ReadonlyArray<number>, other: ReadonlyArray<number>): boolean => {
  const first = one.findIndex((value, index) => value !== other[index])
  return first >= 0 && one[first]! > other[first]!
}

/**
 * Whether the claim's address was with another node since this one was given it: by the same placement, so that it was
 * silent and its standby has taken the address, or by a newer one.
 */
export const isSucceeded = (
  claim: string,
  { node, term }: { readonly node: string; readonly term: number },
  fleet: FleetView
): boolean => {
  for (const [other, report] of fleet.reports(claim)) {
    if (other !== node && (report.term > term || (report.term === term && report.what !== "bound")))
      return true
  }
  return false
}

/** The newest thing that a node said of the claim. */
export const newestReport = (claim: string, fleet: FleetView): Report | undefined => {
  let newest: Report | undefined
  for (const report of fleet.reports(claim).values()) {
    if (newest === undefined || isAbove([report.term, report.at], [newest.term, newest.at])) newest = report
  }
  return newest
}
