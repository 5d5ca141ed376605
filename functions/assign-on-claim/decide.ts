import type { Place, Placement } from "#runtime"
import { addressOfClaim } from "../domain/holding.ts"
import { IpClaim } from "../domain/kinds.ts"
import { type Demand, Demands, whyNobody } from "./demands.ts"
import { type Judgement, judge } from "./judge.ts"
import { OnLinks } from "./on-links.ts"
import { Placements } from "./placements.ts"
import { canTakeOver, type Present, presentHolder, setAsideUntil, stateOf } from "./present.ts"
import type { World } from "./world.ts"

export interface Decision {
  /** What is to be placed otherwise than it is; nothing that is right already. */
  readonly places: ReadonlyArray<Place>
  /** The nodes whose slices are whole once that is placed, and the inventories that were taken into account. */
  readonly complete: ReadonlyArray<{ readonly node: string; readonly inventory: string }>
  /** Which nodes are to hand over what they have when their runtimes stop, and which are not. */
  readonly draining: ReadonlyArray<{ readonly node: string; readonly draining: boolean }>
  /** Claim → why it is on no node, or not on one that may be given it; as the end of a sentence that begins with it */
  readonly why: ReadonlyMap<string, string>
  /** After so many milliseconds there is something to decide though nothing has happened. */
  readonly againMillis: number | undefined
  /** What nodes have on their links though there is no such claim. Nothing becomes of it before that is certain. */
  readonly orphans: ReadonlyArray<string>
}

/**
 * Decides who holds the claims that something happened to (`woken`), and who stands by for them.
 *
 * A name without an IpClaim is taken off all nodes if it is among `woken`, since then it was deleted, or if somebody has
 * made sure of it (`gone`). Whatever else has no claim stays where it is.
 */
export const decide = (
  world: World,
  woken: Iterable<string>,
  gone: ReadonlySet<string> = new Set()
): Decision => {
  const { fleet } = world
  const absent = new Set([...woken, ...gone])
  const names = new Set(absent)
  // All that a node has said it holds is decided at once: only then is its slice whole.
  const incomplete = [...fleet.inventories].filter(
    ([node, { id }]) => fleet.completed(node) !== id && stateOf(fleet, node) === "alive"
  )
  for (const [, { held }] of incomplete) for (const name of held.keys()) names.add(name)
  const deciding = new Deciding(world, names.size)
  const orphans = new Set<string>()
  for (const name of [...names].sort()) {
    const claim = world.find(IpClaim, { namespace: "", name })
    if (claim !== undefined) deciding.one(claim)
    else if (absent.has(name)) deciding.takeOff(name)
    else orphans.add(name)
  }
  deciding.rest()
  const isOpen = (name: string) => deciding.open.has(name) || orphans.has(name)
  return {
    places: deciding.placements.changed,
    complete: incomplete
      .filter(([, { held }]) => ![...held.keys()].some(isOpen))
      .map(([node, { id }]) => ({ node, inventory: id })),
    draining: deciding.demands.cordoned.map(([node, draining]) => ({ node, draining })),
    why: deciding.why,
    againMillis: deciding.againMillis,
    orphans: [...orphans]
  }
}

/** One claim, and what is known of it. */
interface Case {
  readonly claim: IpClaim
  readonly address: string
  readonly demand: Demand
  readonly placement: Placement | undefined
  readonly present: Present | undefined
}

class Deciding {
  readonly world: World
  readonly demands: Demands
  readonly placements: Placements
  readonly why = new Map<string, string>()
  /** Claims that somebody may hold of whom nothing has been heard yet. */
  readonly open = new Set<string>()
  againMillis: number | undefined
  private readonly onLinks: OnLinks
  private readonly going: Array<readonly [Case, Judgement & { readonly _tag: "Goes" }]> = []

  constructor(world: World, claims: number) {
    this.world = world
    this.onLinks = new OnLinks(world.fleet, claims)
    this.demands = new Demands(world)
    this.placements = new Placements(world.fleet, world.policy)
  }

  /** Decides about a claim, unless it needs another node: that is chosen once it is known what stays where. */
  one(claim: IpClaim): void {
    const { name } = claim.metadata
    const { fleet, now } = this.world
    const placement = fleet.placements.get(name)
    const onLinks = this.onLinks.of(name)
    const until = setAsideUntil(name, placement, claim.status, this.world, onLinks)
    if (until !== undefined && until > now) {
      this.why.set(name, "is set aside: a foreign machine has the address")
      this.again(until - now)
      this.takeOff(name)
      return
    }
    const address = addressOfClaim(claim)
    const demand = this.demands.of(claim, address)
    const present = presentHolder(name, placement, claim.status?.node, fleet, onLinks, (node) => {
      const verdict = demand.verdict(node)
      return verdict !== undefined && verdict.notKept === undefined
    })
    const one = { claim, address, demand, placement, present }
    const judgement = judge(name, demand, placement, present, fleet)
    if (judgement._tag === "Stays") this.settle(one, judgement.node)
    else if (judgement._tag === "Goes") this.going.push([one, judgement])
    else {
      this.why.set(name, judgement.why)
      this.open.add(name)
      this.again(judgement.millis)
    }
  }

  /** Chooses nodes for those that need one. */
  rest(): void {
    for (const [one, { from, why }] of this.going) this.place(one, from, why)
  }

  takeOff(claim: string): void {
    const placement = this.world.fleet.placements.get(claim)
    if (placement === undefined) return
    const { address } = placement
    this.placements.put({ claim, address, holder: undefined, standby: undefined, link: undefined })
  }

  private again(millis: number | undefined): void {
    if (millis !== undefined) this.againMillis = Math.min(this.againMillis ?? millis, millis)
  }

  private place(one: Case, from: string | undefined, why: string | undefined): void {
    const { demand, present, placement } = one
    const { name } = one.claim.metadata
    const standby = placement?.standby
    const isReady = standby !== undefined && standby !== from && demand.isEligible(standby)
    const holder = isReady
      ? standby
      : (this.placements.choose(demand, from) ?? this.placements.choose(demand))
    if (holder !== undefined) {
      this.settle(one, holder)
      return
    }
    const nobody = whyNobody(demand, this.demands.names)
    const isThere =
      present !== undefined && present.by !== "status" && stateOf(this.world.fleet, present.node) === "alive"
    // Better on the wrong node than on none; but a pin is the user's word: there or nowhere.
    const keeps = isThere && (demand.pin === undefined || demand.pin === present.node)
    this.why.set(name, keeps ? `stays, though ${why}, as ${nobody}` : `is on no node, as ${nobody}`)
    if (keeps) this.settle(one, present.node)
    else if (isThere) this.takeOff(name)
  }

  /** Puts a claim on a node, with a standby, if that is not how it is. */
  private settle({ claim, address, demand, placement }: Case, holder: string): void {
    const { name } = claim.metadata
    const { fleet } = this.world
    const isThere = stateOf(fleet, holder) === "alive"
    // Of one that cannot be asked it is not known what it would choose.
    const isLinkKept = !isThere || (demand.isOrphan && placement?.holder === holder)
    const imposed = isLinkKept ? placement?.link : demand.verdict(holder)?.imposed
    const link = demand.link ?? imposed
    const canStandBy = (node: string): boolean => {
      if (node === holder || !demand.isEligible(node)) return false
      return imposed === undefined
        ? demand.verdict(node)?.imposed === undefined
        : this.demands.candidate(node)?.linkFor(address, imposed) !== undefined
    }
    const former = placement?.holder === holder ? placement.standby : undefined
    // Of a holder that is lost its standby alone has seen what it had.
    const isWatching =
      former !== undefined && !isThere && fleet.inventories.get(former)?.held.has(name) !== true
    const keepsWatch =
      isWatching &&
      (stateOf(fleet, former) === "awaited" || canTakeOver(former, { address, link: placement?.link }, fleet))
    const standby =
      former !== undefined && (keepsWatch || canStandBy(former))
        ? former
        : this.placements.chooseStandby(name, holder, demand, canStandBy)
    const isSo =
      placement?.holder === holder &&
      placement.standby === standby &&
      placement.link === link &&
      placement.address === address &&
      // An older copy of the bucket was restored: what is placed must be newer than what is on the link.
      (fleet.inventories.get(holder)?.held.get(name)?.term ?? 0) <= placement.term
    if (!isSo) this.placements.put({ claim: name, address, holder, standby, link })
  }
}
