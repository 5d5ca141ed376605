import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Disposition, Retry } from "./Disposition.ts"

/** A network interface of a node, as its runtime reports it. */
export interface FleetLink {
  readonly name: string
  /** `aa:bb:cc:dd:ee:ff` */
  readonly mac: string
  /** The node's own addresses on it, with their subnets: `192.168.0.11/24`. Not those that extip put there. */
  readonly subnets: ReadonlyArray<string>
  /** The link is up, and something is at its other end. */
  readonly carrier: boolean
  /** The IP families (4, 6) whose default route leaves by it. */
  readonly defaultRoutes: ReadonlyArray<4 | 6>
  /** The administrator named it (`--link`): it is taken before any that merely fits. */
  readonly chosen: boolean
}

/** A node whose runtime has been heard of. */
export interface FleetNode {
  readonly name: string
  readonly links: ReadonlyArray<FleetLink>
  readonly version: string
  /**
   * - `alive`: its key in `nodes` is fresh.
   * - `lost`: the key has expired, while NATS was there all the time. Its standbys are taking over, or have done so.
   * - `abandoned`: lost for so long that its kernel has dropped every address, and no standby has taken them.
   */
  readonly state: "alive" | "lost" | "abandoned"
}

/** Where a claim is: who holds its address, and who is to take over. */
export interface Placement {
  readonly claim: string
  readonly address: string
  readonly holder: string | undefined
  readonly standby: string | undefined
  /** The interface that it is pinned to, on whatever node; `undefined` leaves it to the node. */
  readonly link: string | undefined
  /** Rises by one with every placement of the claim, on all nodes and over all lives of JetStream. Of two that hold an address, the higher one is right. */
  readonly term: number
}

/** What a node said last of one claim. */
export interface Report {
  readonly node: string
  readonly claim: string
  /**
   * - `bound`: on the link and announced, as assigned.
   * - `taken`: the same, decided on the wire because the holder was silent.
   * - `released`: off the link.
   * - `conflict`: off the link (or never on it): the machine `foreign` has the address.
   */
  readonly what: "bound" | "taken" | "released" | "conflict"
  readonly address: string
  readonly link: string
  readonly mac: string
  readonly term: number
  /** Milliseconds since the epoch, by the node's clock. */
  readonly at: number
  /** Of a conflict: since when this node had had the address until then. */
  readonly boundAt?: number
  /** The MAC of the machine that has the address. */
  readonly foreign?: string
  /** Why, in words: `the node is drained`, `no carrier`, `another node of ours has a higher term`. */
  readonly reason?: string
}

/** What a node has in its kernel, as of its last inventory and the reports since. */
export interface Inventory {
  /** Made anew each time the node connects: a slice that is complete names the inventory that it took into account. */
  readonly id: string
  /** Claim → what the node holds of it */
  readonly held: ReadonlyMap<
    string,
    { readonly address: string; readonly link: string; readonly term: number }
  >
}

/** What happened in the fleet. `claim` is there for what concerns one claim. */
export interface FleetEvent {
  readonly what: "joined" | "changed" | "lost" | "abandoned" | "inventory" | "report" | "placed"
  readonly node: string
  readonly claim?: string
  readonly report?: Report
}

/** The nodes and what is placed on them, as this process has heard of them. In memory; reading it costs nothing. */
export interface FleetView {
  /** Name → node; those that are lost are among them for as long as anything is placed there. */
  readonly nodes: ReadonlyMap<string, FleetNode>
  /** Claim → placement */
  readonly placements: ReadonlyMap<string, Placement>
  /** The claims that a node holds, or is to hold. */
  readonly heldBy: (node: string) => ReadonlySet<string>
  /** The claims that a node stands by for. */
  readonly standingBy: (node: string) => ReadonlySet<string>
  /** Node → its last report of the claim */
  readonly reports: (claim: string) => ReadonlyMap<string, Report>
  /** Node → its inventory; absent until the node has sent one in this life of JetStream. */
  readonly inventories: ReadonlyMap<string, Inventory>
  /** The inventory that the node's slice was last declared complete for. */
  readonly completed: (node: string) => string | undefined
  /** For so many milliseconds this view has followed the nodes without interruption, NATS being there. */
  readonly followedMillis: () => number
}

/** One claim is placed anew: by whom it is held, and who stands by. No holder: the claim is taken off all nodes. */
export interface Place {
  readonly claim: string
  readonly address: string
  readonly holder: string | undefined
  readonly standby: string | undefined
  readonly link: string | undefined
}

/** Another placement of one of the claims came first, or JetStream is another one by now. Nothing was written. */
export class PlacementLost extends Schema.TaggedError<PlacementLost>()("PlacementLost", {
  claims: Schema.Int,
  detail: Schema.String
}) {
  readonly disposition: Disposition = Retry
  override get message() {
    return this.claims === 0 ? this.detail : `${this.claims} claims were not placed: ${this.detail}`
  }
}

/** The nodes, as a function sees them, and the one way to place claims on them. */
export class Fleet extends Context.Service<
  Fleet,
  FleetView & {
    /**
     * Places claims: for each all or nothing, under the state that this view has of it. What has been placed is in
     * the view at once. The term is one more than any that has been heard of.
     */
    readonly place: (places: ReadonlyArray<Place>) => Effect.Effect<void, PlacementLost>
    /** Says that the node's slice holds everything that the node is to hold, given this inventory. */
    readonly complete: (node: string, inventory: string) => Effect.Effect<void, PlacementLost>
    /** Says that the node is to hand over what it holds when its runtime is stopped, or no longer. */
    readonly draining: (node: string, draining: boolean) => Effect.Effect<void, PlacementLost>
  }
>()("extip/Fleet") {}

/**
 * The interface of a node that fits an address: the one it is pinned to, else one that the administrator chose, else
 * the one whose subnet contains the address, else the default route's. `undefined` when the node has none, or it has
 * no carrier.
 */
export type FittingLink = (
  links: ReadonlyArray<FleetLink>,
  address: string,
  pin: string | undefined
) => FleetLink | undefined
