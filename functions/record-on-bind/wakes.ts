import type { FleetWakes, Ref, Wakes } from "#runtime"
import { IpClaim } from "../domain/kinds.ts"

const refTo = (name: string): Ref => ({ namespace: "", name })

export const itself: Wakes<IpClaim, IpClaim> = { kind: IpClaim, keys: ({ ref }) => [ref] }

/** The claim that a node spoke of; of a node that is gone, or counts what it has, all that it has or is said to have. */
export const claimsOfFleet: FleetWakes<IpClaim> = {
  kind: IpClaim,
  keys: ({ node, claim }, view, fleet) => {
    if (claim !== undefined) return [refTo(claim)]
    const names = new Set([...fleet.heldBy(node), ...(fleet.inventories.get(node)?.held.keys() ?? [])])
    for (const { metadata, status } of view.list(IpClaim)) {
      if (status?.node === node) names.add(metadata.name)
    }
    return Array.from(names, refTo)
  }
}
