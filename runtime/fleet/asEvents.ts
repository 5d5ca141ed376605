import type { FleetEvent } from "../Fleet.ts"
import type { FleetState } from "./state.ts"

/** The present state as events, as if it had just come about: for a function that becomes active. */
export function* asEvents(fleet: FleetState, what: ReadonlyArray<FleetEvent["what"]>): Iterable<FleetEvent> {
  for (const [node, { state }] of fleet.nodes) {
    const told = (state === "alive" ? (["joined", "changed"] as const) : ([state, "lost"] as const)).find(
      (one) => what.includes(one)
    )
    if (told !== undefined) yield { what: told, node }
  }
  if (what.includes("inventory")) {
    for (const node of fleet.inventories.keys()) yield { what: "inventory", node }
  }
  if (what.includes("report")) {
    for (const ofClaim of fleet.allReports) {
      for (const [node, report] of ofClaim) yield { what: "report", node, claim: report.claim, report }
    }
  }
  if (what.includes("placed")) {
    for (const [claim, { holder }] of fleet.placements) yield { what: "placed", node: holder ?? "", claim }
  }
}
