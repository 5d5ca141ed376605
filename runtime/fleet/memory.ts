import * as Effect from "effect/Effect"
import { type FleetLink, type Place, type Placement, PlacementLost, type Report } from "../Fleet.ts"
import type { Presence } from "./messages.ts"
import { type FleetAccess, planOf } from "./plan.ts"
import { FleetState } from "./state.ts"

/** A change of the store, as it is applied to the view of a host. */
export type FleetChange = (state: FleetState) => void

/** How much of a report a test has to say. */
export type TestReport = Pick<Report, "node" | "claim" | "what" | "address"> & Partial<Report>

/**
 * A fleet in memory, with the same locks as the one on NATS. Tests say what the nodes do; several hosts on one store
 * each have their own view of it.
 */
export class MemoryFleet {
  /** What is in the store. */
  readonly #state = new FleetState()
  readonly #followers = new Set<(change: FleetChange) => void>()
  #history: Array<FleetChange> = []
  #sequence = 0
  #inventories = 0
  /** For so long the nodes have been followed without interruption. */
  followedMillis = 3_600_000

  constructor() {
    this.#state.followedMillis = () => this.followedMillis
  }

  /** Calls back with every change, those of the past first. */
  follow(follower: (change: FleetChange) => void): void {
    for (const change of this.#history) follower(change)
    this.#followers.add(follower)
  }

  /** Claim → placement, as it is in the store. */
  get placements(): ReadonlyMap<string, Placement> {
    return this.#state.placements
  }

  /** The inventory that the node's slice was last declared complete for. */
  completed(node: string): string | undefined {
    return this.#state.completed(node)
  }

  isDraining(node: string): boolean {
    return this.#state.isDraining(node)
  }

  /** The node's key is there, or is another one. */
  join(node: string, links: ReadonlyArray<FleetLink> = [testLink()], more: Partial<Presence> = {}): void {
    this.#change((state) => state.present(node, { links, version: "test", session: "1", ...more }))
  }

  /** The node's key has expired. */
  lose(node: string): void {
    this.#change((state) => state.lose(node))
  }

  /** The node has been lost for so long that nobody holds its addresses. */
  abandon(node: string): void {
    this.lose(node)
    this.#change((state) => state.abandon(node))
  }

  /** The node says what it did with a claim. */
  report(told: TestReport): void {
    const term = this.#state.placements.get(told.claim)?.term ?? 1
    const report = { link: "eth0", mac: "02:00:00:00:00:01", term, at: 0, ...told }
    this.#change((state) => state.reported(report))
  }

  /** The node says what it holds. Returns the inventory's id. */
  inventory(
    node: string,
    held: ReadonlyArray<{
      readonly claim: string
      readonly address: string
      readonly term?: number
      readonly link?: string
    }>,
    id = `inventory-${++this.#inventories}`
  ): string {
    const whole = held.map((one) => ({ link: "eth0", term: 1, ...one }))
    this.#change((state) => state.inventory(node, { id, held: whole }))
    return id
  }

  /** JetStream has lost everything. The nodes that live are soon there again; what they hold, tests say. */
  wipe(): void {
    this.#sequence = 0
    this.#history = []
    const alive = [...this.#state.nodes.values()].filter(
      ({ state, links }) => state === "alive" && links.length > 0
    )
    this.#change((state) => {
      state.begin()
      for (const { name, links, version } of alive) state.present(name, { links, version, session: "1" })
      state.whole()
    })
  }

  /** The fleet as one host may use it. */
  access(state: FleetState): FleetAccess {
    state.followedMillis = () => this.followedMillis
    return {
      state,
      place: (places) => this.#place(state, places),
      complete: (node, inventory) => Effect.sync(() => this.#change((one) => one.declared(node, inventory))),
      draining: (node, draining) => Effect.sync(() => this.#change((one) => one.drained(node, draining)))
    }
  }

  #place(view: FleetState, places: ReadonlyArray<Place>): Effect.Effect<void, PlacementLost> {
    return Effect.suspend(() => {
      const plans = planOf(view, places)
      // A write takes its time: others come between.
      return Effect.andThen(
        Effect.promise(() => Promise.resolve()),
        Effect.suspend(() => {
          let lost = 0
          for (const { claim, expected, steps } of plans) {
            if (expected !== this.#state.lastSequence(claim)) {
              lost++
              continue
            }
            const sequences = steps.map((step) => ({ ...step, sequence: ++this.#sequence }))
            this.#change((state) => {
              for (const { sequence, node, assignment } of sequences) {
                state.assigned(sequence, node, claim, assignment)
              }
            }, view)
          }
          return lost === 0
            ? Effect.void
            : Effect.fail(new PlacementLost({ claims: lost, detail: "others came first" }))
        })
      )
    })
  }

  /** What a host wrote itself is in its view at once, however stale that is. */
  #change(change: FleetChange, writer?: FleetState): void {
    this.#history.push(change)
    change(this.#state)
    if (writer !== undefined) change(writer)
    for (const follower of this.#followers) follower(change)
  }
}

/** A link that fits every address: up, with the default routes of both families. */
export const testLink = (more: Partial<FleetLink> = {}): FleetLink => ({
  name: "eth0",
  mac: "02:00:00:00:00:01",
  subnets: [],
  carrier: true,
  defaultRoutes: [4, 6],
  chosen: false,
  ...more
})
