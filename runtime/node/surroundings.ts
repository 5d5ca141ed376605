import type { FleetLink, Report } from "../Fleet.ts"
import type { Assignment } from "../fleet/messages.ts"
import type { Kernel } from "./kernel/kernel.ts"
import type { Lan } from "./lan.ts"
import type { Peers } from "./peers.ts"
import type { NodeTimes } from "./times.ts"

export type NodeNews =
  | { readonly _tag: "Adopted"; readonly addresses: ReadonlyArray<string> }
  | { readonly _tag: "Took"; readonly node: string; readonly addresses: ReadonlyArray<string> }
  | { readonly _tag: "Yielded"; readonly address: string; readonly reason: string }
  | { readonly _tag: "Disputed"; readonly address: string; readonly mac: string }
  | { readonly _tag: "Proxy"; readonly link: string; readonly mac: string }
  | { readonly _tag: "PutBack"; readonly addresses: ReadonlyArray<string> }
  | { readonly _tag: "Stalled"; readonly millis: number }
  | { readonly _tag: "Deaf"; readonly link: string }
  | { readonly _tag: "Silent"; readonly node: string }
  | { readonly _tag: "Carrier"; readonly link: string; readonly carrier: boolean }
  | { readonly _tag: "Trouble"; readonly message: string }

export type NodeLink = FleetLink & { readonly index: number }

/** What the parts of a node's runtime share. */
export interface Surroundings {
  readonly times: NodeTimes
  readonly kernel: Pick<Kernel, "put" | "remove" | "links">
  readonly links: () => ReadonlyArray<NodeLink>
  readonly lan: (index: number) => Lan | undefined
  readonly peers: Peers
  /** NATS is there, and the slice is known to be whole: what it says is what is. */
  readonly inContact: () => boolean
  /** What the claim's newest assignment says. */
  readonly assignmentOf: (claim: string) => Assignment | undefined
  /**
   * Looks whether this process has been asleep, and says how often it has been. Called before anything is done that
   * time may have overtaken: when the number has risen since the network was asked, its answers are void.
   */
  readonly beat: () => number
  readonly report: (report: Omit<Report, "node" | "at" | "link" | "mac"> & { readonly index: number }) => void
  /** Runs `bind-on-node` for the claim again. */
  readonly wake: (claim: string) => void
  readonly say: (news: NodeNews) => void
}
