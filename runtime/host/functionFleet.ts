import * as Effect from "effect/Effect"
import type { Fleet, FleetNode, Inventory, Place, Placement, PlacementLost, Report } from "../Fleet.ts"
import type { FunctionDefinition } from "../Function.ts"
import type { FleetAccess } from "../fleet/plan.ts"
import type { SpanWrite } from "../trace/span.ts"
import { placementPath } from "./execute.ts"
import { Undeclared } from "./functionKube.ts"

export interface FunctionFleetOptions {
  readonly access: FleetAccess
  readonly fn: Pick<FunctionDefinition<any>, "name" | "fleet">
  readonly traceparentOf: (claim: string) => string
  readonly writes: Array<SpanWrite>
}

type FleetShape = (typeof Fleet)["Service"]

/** `Fleet` for one run of one function: placements only if it declared them, and into the run's span. */
export class FunctionFleet implements FleetShape {
  readonly #options: FunctionFleetOptions

  constructor(options: FunctionFleetOptions) {
    this.#options = options
  }

  get nodes(): ReadonlyMap<string, FleetNode> {
    return this.#options.access.state.nodes
  }

  get placements(): ReadonlyMap<string, Placement> {
    return this.#options.access.state.placements
  }

  get inventories(): ReadonlyMap<string, Inventory> {
    return this.#options.access.state.inventories
  }

  readonly heldBy = (node: string): ReadonlySet<string> => this.#options.access.state.heldBy(node)
  readonly standingBy = (node: string): ReadonlySet<string> => this.#options.access.state.standingBy(node)
  readonly reports = (claim: string): ReadonlyMap<string, Report> => this.#options.access.state.reports(claim)
  readonly completed = (node: string): string | undefined => this.#options.access.state.completed(node)
  readonly followedMillis = (): number => this.#options.access.state.followedMillis()

  readonly place = (places: ReadonlyArray<Place>): Effect.Effect<void, PlacementLost> =>
    Effect.suspend(() => {
      this.#demand("place claims")
      if (places.length === 0) return Effect.void
      const { access, traceparentOf } = this.#options
      const start = Date.now()
      return access.place(places, traceparentOf).pipe(
        Effect.tap(() => Effect.sync(() => this.#record(places, start))),
        Effect.tapError(({ _tag }) => Effect.sync(() => this.#record(places, start, _tag)))
      )
    })

  readonly complete = (node: string, inventory: string): Effect.Effect<void, PlacementLost> =>
    Effect.suspend(() => {
      this.#demand("complete a node's slice")
      const { access } = this.#options
      return access.state.completed(node) === inventory ? Effect.void : access.complete(node, inventory)
    })

  readonly draining = (node: string, draining: boolean): Effect.Effect<void, PlacementLost> =>
    Effect.suspend(() => {
      this.#demand("drain a node")
      const { access } = this.#options
      return access.state.isDraining(node) === draining ? Effect.void : access.draining(node, draining)
    })

  #record(places: ReadonlyArray<Place>, start: number, failure?: string): void {
    const end = Date.now()
    for (const { claim } of places) {
      this.#options.writes.push({
        object: placementPath(claim),
        uid: "",
        resourceVersion: "",
        verb: "place",
        subresource: "",
        start,
        end,
        ...(failure === undefined ? {} : { failure })
      })
    }
  }

  #demand(what: string): void {
    const { fn } = this.#options
    if (fn.fleet !== "places") {
      throw new Undeclared(`function "${fn.name}" tried to ${what}; "place" is not in its "needs"`)
    }
  }
}
