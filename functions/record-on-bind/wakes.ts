import type { FleetWakes, Ref, Wakes } from "#runtime"
import { IpClaim } from "../domain/kinds.ts"

const refTo = (name: string): Ref => ({ namespace: "", name })

export const itself: Wakes<IpClaim, IpClaim> = { kind: IpClaim, keys: ({ ref }) => [ref] }

/**
 * The claim that a node spoke of; of a node that comes, is gone, or counts what it has, all that it has or is said to
 * have. Of claims that were there before any node nothing was said yet.
 */
export const claimsOfFleet: FleetWakes<IpClaim> = {
  kind: IpClaim,
  keys: ({ what, node, claim }, view, fleet) => {
    if (claim !== undefined) return [refTo(claim)]
    const names = new Set([...fleet.heldBy(node), ...(fleet.inventories.get(node)?.held.keys() ?? [])])
    for (const { metadata, status } of view.list(IpClaim)) {
      const isNew = what === "joined" && status?.phase === undefined
      if (isNew || status?.node === node) names.add(metadata.name)
    }
    return Array.from(names, refTo)
  }
}
