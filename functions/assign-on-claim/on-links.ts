import type { FleetView } from "#runtime"
import { isSucceeded } from "../domain/claim-state.ts"
import { stateOf } from "./present.ts"

/** A node that has an address on a link. */
export interface OnLink {
  readonly node: string
  /** Of the placement that it has it by. */
  readonly term: number
  readonly lives: boolean
}

const none: ReadonlyArray<OnLink> = []

/** Newer placements first; of equals who lives, then by name. */
const compare = (one: OnLink, other: OnLink): number =>
  other.term - one.term || Number(other.lives) - Number(one.lives) || (one.node < other.node ? -1 : 1)

/**
 * Who has which address on a link, by the nodes' own words. Those that are given up do not count, and of those that are
 * lost nothing that another one has had since.
 */
export class OnLinks {
  private readonly fleet: FleetView
  private readonly nodes: ReadonlyArray<
    readonly [node: string, lives: boolean, held: ReadonlyMap<string, { readonly term: number }>]
  >
  /** Claim → nodes, for all claims at once; only where many are asked for */
  private readonly byClaim: Map<string, Array<OnLink>> | undefined

  constructor(fleet: FleetView, asked: number) {
    this.fleet = fleet
    this.nodes = Array.from(fleet.inventories, ([node, { held }]) => {
      const state = stateOf(fleet, node)
      return { node, state, held }
    })
      .filter(({ state }) => state !== "abandoned")
      .map(({ node, state, held }) => [node, state === "alive", held] as const)
    const all = this.nodes.reduce((sum, [, , held]) => sum + held.size, 0)
    if (asked * this.nodes.length <= all) return
    const byClaim = new Map<string, Array<OnLink>>()
    for (const [node, lives, held] of this.nodes) {
      for (const [claim, { term }] of held) {
        const others = byClaim.get(claim)
        if (others === undefined) byClaim.set(claim, [{ node, term, lives }])
        else others.push({ node, term, lives })
      }
    }
    this.byClaim = byClaim
  }

  /** The nodes that have the claim's address, the one with the best right to it first. */
  of(claim: string): ReadonlyArray<OnLink> {
    const said = this.byClaim === undefined ? this.search(claim) : (this.byClaim.get(claim) ?? none)
    const found = said.filter((one) => one.lives || !isSucceeded(claim, one, this.fleet))
    return found.length < 2 ? found : found.sort(compare)
  }

  private search(claim: string): ReadonlyArray<OnLink> {
    const found: Array<OnLink> = []
    for (const [node, lives, held] of this.nodes) {
      const term = held.get(claim)?.term
      if (term !== undefined) found.push({ node, term, lives })
    }
    return found
  }
}
