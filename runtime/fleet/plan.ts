import type { Effect } from "effect/Effect"
import type { Place, PlacementLost } from "../Fleet.ts"
import type { Assignment } from "./messages.ts"
import type { FleetState } from "./state.ts"

/** What a function's `Fleet` is made of: NATS, or a store in memory. */
export interface FleetAccess {
  readonly state: FleetState
  /** `traceparentOf` says in whose trace a claim's placement is. */
  readonly place: (
    places: ReadonlyArray<Place>,
    traceparentOf: (claim: string) => string
  ) => Effect<void, PlacementLost>
  readonly complete: (node: string, inventory: string) => Effect<void, PlacementLost>
  readonly draining: (node: string, draining: boolean) => Effect<void, PlacementLost>
}

/** The keys of one claim that its placement writes, in this order: all of them or none. */
export interface Plan {
  readonly claim: string
  /** No key of the claim may be newer than this. */
  readonly expected: number
  readonly steps: ReadonlyArray<{ readonly node: string; readonly assignment: Assignment | undefined }>
}

/**
 * What is to be written for each claim, under the state as it is. The new keys come first: whoever reads them one by
 * one knows the new placement from then on.
 */
export const planOf = (state: FleetState, places: ReadonlyArray<Place>): ReadonlyArray<Plan> => {
  const lastOfEach = new Map(places.map((place) => [place.claim, place]))
  return Array.from(lastOfEach.values(), (place): Plan => {
    const { claim, address, holder, link } = place
    const standby = holder === undefined || place.standby === holder ? undefined : place.standby
    const common = {
      claim,
      address,
      term: state.nextTerm(claim),
      ...(holder === undefined ? {} : { holder }),
      ...(standby === undefined ? {} : { standby }),
      ...(link === undefined ? {} : { link })
    }
    const steps: Array<Plan["steps"][number]> = []
    if (holder !== undefined) steps.push({ node: holder, assignment: { role: "holder", ...common } })
    if (standby !== undefined) steps.push({ node: standby, assignment: { role: "standby", ...common } })
    for (const node of state.keysOf(claim)) {
      if (node !== holder && node !== standby) steps.push({ node, assignment: undefined })
    }
    return { claim, expected: state.lastSequence(claim), steps }
  }).filter(({ steps }) => steps.length > 0)
}
