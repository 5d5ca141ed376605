import type { FleetEvent, FleetNode, FleetView, Inventory, Placement, Report } from "../Fleet.ts"
import { Inventories } from "./inventories.ts"
import type { Assignment, InventoryMessage, Presence } from "./messages.ts"
import { highestTerm } from "./messages.ts"
import { Slots } from "./slots.ts"

/** What each event carries of the trace that led to it. */
export type FleetListener = (event: FleetEvent, traceparent?: string) => void

/**
 * The fleet, as one process has heard of it: applied message by message, in the order of each stream. It has no clock
 * and no connection: who is lost is decided by `Membership`.
 */
export class FleetState implements FleetView {
  readonly nodes = new Map<string, FleetNode>()
  readonly #slots: Slots
  readonly #inventories: Inventories
  /** Claim → node → its last report */
  readonly #reports = new Map<string, Map<string, Report>>()
  /** Claim → the highest term that was heard of, from whomever. It outlives the streams. */
  readonly #terms = new Map<string, number>()
  readonly #completed = new Map<string, string>()
  readonly #draining = new Set<string>()
  readonly #sessions = new Map<string, string>()
  readonly #listeners = new Set<FleetListener>()
  readonly #whole = new Set<() => void>()
  #isSilent = false
  /** Set by whoever follows NATS. */
  followedMillis: () => number = () => 0

  constructor() {
    this.#slots = new Slots()
    this.#inventories = new Inventories((node) => this.nodes.get(node)?.state)
  }

  /** Calls back with everything that happens from now on. Returns the way to stop it. */
  listen(listener: FleetListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Calls back whenever the state has been read anew: there were no events of that. */
  onWhole(listener: () => void): void {
    this.#whole.add(listener)
  }

  get placements(): ReadonlyMap<string, Placement> {
    return this.#slots.placements
  }

  get inventories(): ReadonlyMap<string, Inventory> {
    return this.#inventories.valid
  }

  heldBy(node: string): ReadonlySet<string> {
    return this.#slots.heldBy(node)
  }

  standingBy(node: string): ReadonlySet<string> {
    return this.#slots.standingBy(node)
  }

  reports(claim: string): ReadonlyMap<string, Report> {
    return this.#reports.get(claim) ?? noReports
  }

  /** Every report that was heard: of each claim, the last one of each node. */
  get allReports(): Iterable<ReadonlyMap<string, Report>> {
    return this.#reports.values()
  }

  completed(node: string): string | undefined {
    return this.#completed.get(node)
  }

  isDraining(node: string): boolean {
    return this.#draining.has(node)
  }

  /** The last sequence of any key of the claim, deletions included: what its next placement is made under. */
  lastSequence(claim: string): number {
    return this.#slots.lastSequence(claim)
  }

  /** The nodes that have a key of the claim. */
  keysOf(claim: string): Iterable<string> {
    return this.#slots.keysOf(claim)
  }

  /** The sequence of the newest key of the claim that is there. */
  lastLiveSequence(claim: string): number {
    return this.#slots.lastLiveSequence(claim)
  }

  nextTerm(claim: string): number {
    return Math.min((this.#terms.get(claim) ?? 0) + 1, highestTerm)
  }

  /** A new life of the streams: what was in the former one is forgotten, but for the terms and who the nodes are. */
  begin(): void {
    this.#isSilent = true
    this.#slots.clear()
    this.#inventories.clear()
    this.#reports.clear()
    this.#completed.clear()
    this.#draining.clear()
  }

  /** Everything that the streams held has been applied. From now on there are events. */
  whole(): void {
    this.#isSilent = false
    for (const node of [...this.nodes.keys()]) this.#forgetIfNothing(node)
    for (const listener of this.#whole) listener()
  }

  /** A key of `nodes` was put. */
  present(node: string, presence: Presence): void {
    const { links, version } = presence
    const before = this.nodes.get(node)
    const isBack = before?.state !== "alive" || !this.#sessions.has(node)
    const isOther = this.#sessions.get(node) !== presence.session || !sameLinks(before?.links ?? [], links)
    this.#sessions.set(node, presence.session)
    this.nodes.set(node, { name: node, links, version, state: "alive" })
    const isNews = this.#inventories.expect(node, presence.inventory)
    if (isBack) this.#tell({ what: "joined", node })
    else if (isOther || before?.version !== version) this.#tell({ what: "changed", node })
    if (isNews) this.#tell({ what: "inventory", node })
  }

  lose(node: string): void {
    this.#set(node, "lost")
  }

  abandon(node: string): void {
    this.#set(node, "abandoned")
    this.#forgetIfNothing(node)
  }

  /** A key of a claim was put, or deleted (`undefined`). What is known already is passed over. */
  assigned(
    sequence: number,
    node: string,
    claim: string,
    assignment: Assignment | undefined,
    traceparent?: string
  ): void {
    if (assignment !== undefined) this.#heardOf(claim, assignment.term)
    const before = this.#slots.placements.get(claim)
    if (!this.#slots.apply(sequence, node, claim, assignment)) return
    const after = this.#slots.placements.get(claim)
    if (before === after) return
    for (const one of [after?.holder, after?.standby]) if (one !== undefined) this.#mention(one)
    if (!this.#isSilent) {
      for (const one of [before?.holder, before?.standby]) if (one !== undefined) this.#forgetIfNothing(one)
    }
    this.#tell({ what: "placed", node: after?.holder ?? before?.holder ?? node, claim }, traceparent)
  }

  /** `_complete` was put, or deleted. */
  declared(node: string, inventory: string | undefined): void {
    if (inventory === undefined) this.#completed.delete(node)
    else this.#completed.set(node, inventory)
  }

  /** `_draining` was put, or deleted. */
  drained(node: string, draining: boolean): void {
    if (draining) this.#draining.add(node)
    else this.#draining.delete(node)
  }

  reported(report: Report, traceparent?: string): void {
    const { claim, node, term } = report
    this.#heardOf(claim, term)
    let ofClaim = this.#reports.get(claim)
    if (ofClaim === undefined) {
      ofClaim = new Map()
      this.#reports.set(claim, ofClaim)
    }
    const before = ofClaim.get(node)
    const was = before?.what === "bound" || before?.what === "taken" ? before.at : before?.boundAt
    const isTold = report.what !== "conflict" || report.boundAt !== undefined || was === undefined
    ofClaim.set(node, isTold ? report : { ...report, boundAt: was })
    this.#inventories.report(report)
    this.#tell({ what: "report", node, claim, report }, traceparent)
  }

  inventory(node: string, message: InventoryMessage, traceparent?: string): void {
    for (const { claim, term } of message.held) this.#heardOf(claim, term)
    if (this.#inventories.take(node, message)) this.#tell({ what: "inventory", node }, traceparent)
  }

  #set(name: string, state: "lost" | "abandoned"): void {
    const node = this.nodes.get(name)
    if (node === undefined || node.state === state) return
    this.nodes.set(name, { ...node, state })
    // What a dead node said last is the best that is known of it.
    const isNews = this.#inventories.unexpect(name)
    this.#tell({ what: state, node: name })
    if (isNews) this.#tell({ what: "inventory", node: name })
  }

  /** Something is placed on a node that has not been heard of: it counts as alive until its time has run out. */
  #mention(name: string): void {
    if (!this.nodes.has(name)) this.nodes.set(name, { name, links: [], version: "", state: "alive" })
  }

  #forgetIfNothing(name: string): void {
    const node = this.nodes.get(name)
    if (node?.state !== "abandoned" || this.heldBy(name).size > 0 || this.standingBy(name).size > 0) return
    this.nodes.delete(name)
    this.#sessions.delete(name)
    this.#inventories.forget(name)
  }

  #heardOf(claim: string, term: number): void {
    if (term > (this.#terms.get(claim) ?? 0)) this.#terms.set(claim, term)
  }

  #tell(event: FleetEvent, traceparent?: string): void {
    if (this.#isSilent) return
    for (const listener of this.#listeners) listener(event, traceparent)
  }
}

const noReports: ReadonlyMap<string, Report> = new Map()

const sameLinks = (one: FleetNode["links"], other: FleetNode["links"]): boolean =>
  JSON.stringify(one) === JSON.stringify(other)
