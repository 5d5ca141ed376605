import { type FleetView, fittingLink, refKey, refOf, type View } from "#runtime"
import { claimStateOf, newestReport } from "../domain/claim-state.ts"
import { addressOfClaim } from "../domain/holding.ts"
import { IpClaim, IpClaimPool, IpNode, Node, Service } from "../domain/kinds.ts"
import { hasSpoken, nodeStateOf } from "../domain/node-state.ts"
import type { Settings } from "../domain/settings.ts"
import type { Drift } from "./decide.ts"

/** What is younger is on its way still. */
const inFlightMillis = 5_000
/** A claim that is placed nowhere waits so long for its last holder to be heard of, before another is chosen. */
const returnMillis = 12_000

const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"
const ofCluster = (name: string) => ({ namespace: "", name })

export interface FleetWorld {
  readonly find: View["find"]
  readonly list: View["list"]
  readonly fleet: FleetView
  readonly settings: Settings
  readonly now: number
}

/** Every drift between claims, the nodes and what is placed on them. None while the nodes have just been heard of. */
export const findFleetDrifts = (world: FleetWorld): ReadonlyArray<Drift> => {
  const { fleet, list } = world
  if (fleet.followedMillis() < inFlightMillis) return []
  const drifts: Array<Drift> = []
  for (const claim of list(IpClaim)) {
    if (claim.metadata.deletionTimestamp !== undefined || isInFlight(claim, world)) continue
    const ref = refOf(claim)
    const status = statusDrift(claim, world)
    if (status !== undefined) {
      const what = `${claim.metadata.name}: ${status}`
      drifts.push({ cause: "StatusDisagrees", mendedBy: "record-on-bind", kind: IpClaim, ref, what })
    }
    if (!fleet.placements.has(claim.metadata.name) && mayBePlaced(claim, world)) {
      const what = claim.metadata.name
      drifts.push({ cause: "ClaimWithoutAssignment", mendedBy: "assign-on-claim", kind: IpClaim, ref, what })
    }
  }
  return [...drifts, ...nodeDrifts(world)]
}

/** Claims that are placed on nodes, but are not there. The view may be late: to be confirmed by a fresh read. */
export const placedWithoutClaim = ({ fleet, find }: Pick<FleetWorld, "fleet" | "find">) =>
  Array.from(fleet.placements.keys(), ofCluster).filter((ref) => find(IpClaim, ref) === undefined)

const isInFlight = ({ metadata: { name, creationTimestamp } }: IpClaim, { fleet, now }: FleetWorld) => {
  const since = Math.max(Date.parse(creationTimestamp) || 0, newestReport(name, fleet)?.at ?? 0)
  // One whose clock is ahead of ours must not keep the claim out for ever.
  return since <= now && now - since < inFlightMillis
}

const statusDrift = (claim: IpClaim, { fleet, settings, now }: FleetWorld): string | undefined => {
  const state = claimStateOf(claim, fleet, settings, now)
  if (state === undefined) return undefined
  const said = claim.status ?? {}
  const isSaid = (["phase", "node", "link", "mac", "retryAt"] as const).every(
    (field) => said[field] === state[field]
  )
  return isSaid
    ? undefined
    : `it is ${state.phase}, ${state.message}; its status says ${said.phase ?? "nothing"}`
}

/** Whether some node would have the claim for certain. What only assign-on-claim can judge, it goes on judging by itself. */
const mayBePlaced = (claim: IpClaim, { fleet, find, now }: FleetWorld): boolean => {
  if (fleet.followedMillis() < returnMillis + inFlightMillis) return false
  const { nodeName: pin, link: ownLink, pool: poolName = "", services = [] } = claim.spec
  const retryAt = Date.parse(claim.status?.retryAt ?? "") || 0
  if (retryAt + inFlightMillis > now) return false
  const pool = find(IpClaimPool, ofCluster(poolName))
  const isLocal = services.some((entry) => find(Service, entry)?.spec?.externalTrafficPolicy === "Local")
  if (pool?.spec.nodeSelector !== undefined || isLocal) return false
  const address = addressOfClaim(claim)
  const link = ownLink ?? pool?.spec.link
  return [...fleet.nodes.values()].some(({ name, state, links }) => {
    const { unschedulable, links: allowed } = find(IpNode, ofCluster(name))?.spec ?? {}
    const node = find(Node, ofCluster(name))
    const isClosed =
      unschedulable === true ||
      node?.spec?.unschedulable === true ||
      node?.metadata.labels?.[excludeLabel] !== undefined ||
      node?.status?.conditions?.some(({ type, status }) => type === "NetworkUnavailable" && status === "True")
    if (state !== "alive" || isClosed === true || (pin !== undefined && pin !== name)) return false
    const usable = allowed === undefined ? links : links.filter((one) => allowed.includes(one.name))
    return fittingLink(usable, address, link) !== undefined
  })
}

const nodeDrifts = ({ fleet, find, list }: FleetWorld): ReadonlyArray<Drift> => {
  const drift = (cause: "NodeNotRecorded" | "NodeStatusDisagrees", name: string, what: string): Drift => ({
    cause,
    mendedBy: "record-on-join",
    kind: IpNode,
    ref: ofCluster(name),
    what
  })
  const drifts: Array<Drift> = []
  for (const node of fleet.nodes.values()) {
    const isThere = find(IpNode, ofCluster(node.name)) !== undefined
    if (!isThere && node.state === "alive" && hasSpoken(node)) {
      drifts.push(drift("NodeNotRecorded", node.name, node.name))
    }
  }
  for (const node of list(IpNode)) {
    const name = refKey(refOf(node))
    const state = nodeStateOf(name, node.status, fleet)
    if (state === undefined || state.ready === node.status?.ready) continue
    drifts.push(drift("NodeStatusDisagrees", name, `${name} is ${state.ready ? "alive" : "not heard of"}`))
  }
  return drifts
}
