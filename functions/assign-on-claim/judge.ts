import type { FleetView, Placement } from "#runtime"
import type { Demand } from "./demands.ts"
import { canTakeOver, type Present, returnMillis, stateOf } from "./present.ts"

/** What becomes of an address. */
export type Judgement =
  /** It is on this node, and stays. */
  | { readonly _tag: "Stays"; readonly node: string }
  /** Another node is to have it. */
  | { readonly _tag: "Goes"; readonly from: string | undefined; readonly why: string | undefined }
  /** Somebody may have it, of whom nothing has been heard yet. */
  | { readonly _tag: "Waits"; readonly why: string; readonly millis: number | undefined }

/**
 * Who may have the address of a claim that is placed nowhere, and that was on the node `last` once. Whoever has it has
 * said so in its inventory: the one that the claim names, or another one that took it over, or was given it, without the
 * API server having heard of that.
 */
const whomToAwait = (last: string | undefined, fleet: FleetView): string | undefined => {
  if (fleet.followedMillis() >= returnMillis) return undefined
  if (last !== undefined && (stateOf(fleet, last) !== "alive" || !fleet.inventories.has(last))) return last
  for (const name of fleet.nodes.keys()) {
    if (stateOf(fleet, name) === "alive" && !fleet.inventories.has(name)) return name
  }
  return undefined
}

/**
 * The standby that may have taken the address without having been able to say so: it has not spoken yet since NATS is
 * there, and the holder does not say that it has it. What would be placed anew in favour of the holder, be it only with
 * another standby, would be newer than the takeover, and take the address from who answers for it.
 */
const whoMayHaveTaken = (
  claim: string,
  placement: Placement | undefined,
  present: Present,
  fleet: FleetView
): string | undefined => {
  const standby = placement?.standby
  if (present.by !== "placement" || standby === undefined) return undefined
  if (fleet.inventories.get(present.node)?.held.has(claim) === true) return undefined
  const state = stateOf(fleet, standby)
  const hasYetToSpeak =
    state === "awaited" ||
    // A node that takes its time to reach NATS again is not there at first, and what it said before is no news.
    (fleet.followedMillis() < returnMillis &&
      (state === "lost" || (state === "alive" && !fleet.inventories.has(standby))))
  return hasYetToSpeak ? standby : undefined
}

/** Whether the node has said that it has the address, and has not given it back since. */
const wasBound = (claim: string, node: string, fleet: FleetView): boolean => {
  const what = fleet.reports(claim).get(node)?.what
  return fleet.inventories.get(node)?.held.has(claim) ?? (what === "bound" || what === "taken")
}

/** Says what becomes of an address, given who has it now. */
export const judge = (
  claim: string,
  demand: Demand,
  placement: Placement | undefined,
  present: Present | undefined,
  fleet: FleetView
): Judgement => {
  const left = returnMillis - fleet.followedMillis()
  const waits = (name: string): Judgement => ({
    _tag: "Waits",
    why: `waits for ${name}, which may have it`,
    // What becomes of a node that is known to be lost is told by the fleet.
    millis: left > 0 ? left : undefined
  })
  if (present === undefined || present.by === "status") {
    const awaited = whomToAwait(present?.node, fleet)
    if (awaited !== undefined) return waits(awaited)
  }
  if (present === undefined) return { _tag: "Goes", from: undefined, why: undefined }
  const watcher = whoMayHaveTaken(claim, placement, present, fleet)
  if (watcher !== undefined) return waits(watcher)
  const { node, by } = present
  const goes = (why: string): Judgement => ({ _tag: "Goes", from: node, why: `${node} ${why}` })
  const state = stateOf(fleet, node)
  if (state === "abandoned") {
    // It may be NATS alone that it has lost. Its standby takes over as soon as it is silent, and nobody else is to.
    const placed = node === placement?.holder ? placement : undefined
    const isWatched = placed?.standby !== undefined && canTakeOver(placed.standby, placed, fleet)
    return isWatched && wasBound(claim, node, fleet) ? { _tag: "Stays", node } : goes("is lost")
  }
  if (state !== "alive") {
    // Its kernel may answer still, and its standby takes over when it does not: nobody else is to do so.
    return node === placement?.holder ? { _tag: "Stays", node } : waits(node)
  }
  // Whether it may have been given it or not: it answers, and who was silent may be thought to be alive still.
  if (by === "taken") return { _tag: "Stays", node }
  const report = fleet.reports(claim).get(node)
  const hasIt = fleet.inventories.get(node)?.held.has(claim) === true
  if (by === "placement" && !hasIt && report?.what === "released" && report.term === placement?.term) {
    return goes(`gave it back (${report.reason ?? "it did not say why"})`)
  }
  const notKept = demand.verdict(node)?.notKept
  return notKept === undefined ? { _tag: "Stays", node } : goes(notKept)
}
