import * as Option from "effect/Option"
import type { Cidr } from "./addresses.ts"
import { type ClaimChange, ClaimIndex } from "./claim-index.ts"
import { ClusterFacts, type NetworkOptions } from "./cluster-facts.ts"
import { mayUse, whyNotEligible } from "./eligibility.ts"
import { HandListed } from "./hand-listed.ts"
import { serviceKeyOf } from "./holding.ts"
import type { IpClaim, IpClaimPool, Namespace, Node, Service } from "./kinds.ts"
import type { BlockedListener } from "./networks.ts"
import type { LivePool, Occupancy, PoolEntry } from "./pool-entry.ts"
import { PoolIndex } from "./pool-index.ts"
import type { Addresses, Auto, RequestOptions } from "./requests.ts"
import { forbidden } from "./security.ts"
import { TakenAddresses } from "./taken.ts"
import { freeCountOf, isTurnOf, nextInTurn, olderWaitingFor } from "./turns.ts"
import { ageOf, type Waiting } from "./waiting.ts"
import { type SharingRef, WaitingServices } from "./waiting-services.ts"

export type { PoolEntry } from "./pool-entry.ts"
export type { Waiting } from "./waiting.ts"

interface Changed<K extends string, A> {
  readonly kind: K
  /** `namespace/name`, or the name alone where there is no namespace. */
  readonly key: string
  readonly before: A | undefined
  readonly after: A | undefined
}

/** One object's change. */
export type LedgerChange =
  | Changed<"IpClaimPool", IpClaimPool>
  | Changed<"IpClaim", IpClaim>
  | Changed<"Service", Service>
  | Changed<"Namespace", Namespace>
  | Changed<"Node", Node>

/** The kinds that a ledger is made of. */
export const ledgerKinds = ["IpClaimPool", "IpClaim", "Service", "Namespace", "Node"] as const

export interface LedgerOptions extends RequestOptions, NetworkOptions {
  /** Out of these, `externalIPs` may be written by hand even where no pool has them. */
  readonly externalCidrs?: ReadonlyArray<Cidr>
}

/**
 * What allocation must know of the cluster: which addresses are taken, what each pool has left, and who waits for it.
 * It follows the objects change by change, in any order of kinds, and answers at the same cost however many addresses
 * are in use. Addresses are canonical (`canonicalAddress`), Services are named `namespace/name`, pools by name.
 */
export class Ledger {
  private readonly claims = new ClaimIndex()
  private readonly taken = new TakenAddresses({
    taken: (address) => this.eachPoolAround(address, (pool) => pool.countTaken(address, 1)),
    untaken: (address) => this.eachPoolAround(address, (pool) => pool.countTaken(address, -1)),
    free: (address) => this.eachPoolAround(address, (pool) => pool.freed(address))
  })
  private readonly facts: ClusterFacts
  private readonly poolIndex: PoolIndex
  private readonly waitingServices: WaitingServices
  private readonly handListed: HandListed

  constructor(options: LedgerOptions) {
    const occupancy = (): Occupancy => ({
      taken: this.taken.counts,
      claims: this.claims.addresses(),
      closed: this.facts.networks
    })
    this.poolIndex = new PoolIndex(occupancy)
    this.waitingServices = new WaitingServices(this.poolIndex, options)
    const blocking: BlockedListener = {
      blocked: (address) => this.taken.take(address),
      unblocked: (address) => this.taken.giveBack(address)
    }
    this.handListed = new HandListed(
      this.poolIndex,
      (namespace, labels) => this.waitingServices.applicant(namespace, labels),
      options.externalCidrs ?? [],
      blocking,
      options
    )
    this.facts = new ClusterFacts(options, {
      ...blocking,
      networksChanged: (changed) => this.poolIndex.networksChanged(changed)
    })
  }

  apply(change: LedgerChange): void {
    switch (change.kind) {
      case "IpClaimPool":
        this.applyPool(change.key, change.after)
        break
      case "IpClaim":
        this.applyClaim(this.claims.apply(change.key, change.after))
        break
      case "Service":
        this.facts.applyService(change.key, change.before, change.after)
        this.handListed.applyService(change.key, change.after)
        this.waitingServices.applyService(change.key, change.after)
        break
      case "Namespace":
        this.waitingServices.applyNamespace(change.key, change.after)
        this.handListed.judgeAgain(change.key)
        break
      case "Node":
        this.facts.applyNode(change.key, change.before, change.after)
        break
    }
  }

  /** All pools, valid or not, in the order in which they are tried: by priority, the highest first, then by name. */
  get pools(): ReadonlyArray<PoolEntry> {
    return this.poolIndex.inOrder()
  }

  pool(name: string): PoolEntry | undefined {
    return this.poolIndex.get(name)
  }

  /** The valid pool that contains the address; one that is being deleted only if there is no other. */
  poolOf(address: string): PoolEntry | undefined {
    const valid = this.poolIndex.around(address).filter((pool) => pool.faults.length === 0)
    return valid.find((pool) => pool.gives) ?? valid[0]
  }

  /** The pools that can serve the Service, at least in part (one of its families or addresses), in the order to try. */
  eligiblePools(service: Service, request: Auto | Addresses): ReadonlyArray<PoolEntry> {
    return this.poolIndex.inOrder().filter((pool) => this.whyNot(pool, service, request) === undefined)
  }

  /** Why a pool cannot serve the Service, as the end of a sentence that begins with the pool; `undefined` when it can. */
  whyNot(pool: PoolEntry, service: Service, request: Auto | Addresses): string | undefined {
    return whyNotEligible(pool, this.applicant(service), request)
  }

  /** Whether the pool's author lets the Service use it (namespaces and selectors), for addresses written by hand. */
  admits(pool: PoolEntry, service: Service): boolean {
    return mayUse(pool, this.applicant(service))
  }

  /** Why no Service may ever have this address; see `forbidden` of security.ts. */
  forbidden(address: string): string | undefined {
    return forbidden(address, this.facts)
  }

  /**
   * Whether a claim, a node, a clusterIP or a Service that carries it has the address, a Service that may lists it by
   * hand, one shows it that has it from another controller, or it is reserved. That `but` (`namespace/name`) lists it
   * does not count. If `but` has it from another controller, nobody counts who has it from there as well, or lists it.
   */
  isTaken(address: string, but?: string): boolean {
    const listers = this.handListed.of(address)
    const elsewhere = this.facts.servedElsewhere(address)
    if (but === undefined || !elsewhere.includes(but)) {
      return this.taken.has(address, but !== undefined && listers.includes(but) ? 1 : 0)
    }
    return this.taken.has(address, elsewhere.length + listers.length)
  }

  /**
   * Why the address is another controller's to give, as the end of a sentence that begins with it; `undefined` when none has
   * given it, or has given it to `but` (`namespace/name`) as well, or it is ours by now: a claim names a Service.
   */
  whyElsewhere(address: string, but: string): string | undefined {
    const owners = this.facts.servedElsewhere(address)
    const isOurs = (this.claims.byAddress(address)?.spec.services ?? []).length > 0
    return owners.length === 0 || owners.includes(but) || isOurs
      ? undefined
      : `is shown by Service ${owners[0]}, to which another controller gave it`
  }

  /**
   * A Service (`namespace/name`), other than `but`, that carries the address though its claim does not name it: the
   * claim was lost. The address is that Service's all the same, and given to nobody whom the claim does not name.
   */
  rightfulOwner(address: string, but?: string): string | undefined {
    const carriers = this.facts.carriersOf(address)
    if (carriers.length === 0) return undefined
    const named = (this.claims.byAddress(address)?.spec.services ?? []).map(serviceKeyOf)
    if (but !== undefined && named.includes(but)) return undefined
    return carriers.find((carrier) => carrier !== but && !named.includes(carrier))
  }

  /** The Services (`namespace/name`) that carry the address, whether a claim names them or not. */
  carriersOf(address: string): ReadonlyArray<string> {
    return this.facts.carriersOf(address)
  }

  /** The Services (`namespace/name`) that show the address in their ingress, where another controller put it. */
  servedElsewhere(address: string): ReadonlyArray<string> {
    return this.facts.servedElsewhere(address)
  }

  /** The Services (`namespace/name`) that list the address by hand and may have it, whether a claim names them or not. */
  listersOf(address: string): ReadonlyArray<string> {
    return this.handListed.of(address)
  }

  /** The Services that list an address by hand and may have it, and no claim holds it, by address. */
  *listedWithoutClaim(): Iterable<readonly [address: string, services: ReadonlyArray<string>]> {
    for (const address of this.handListed.addresses()) {
      if (this.claims.byAddress(address) === undefined) yield [address, this.handListed.of(address)]
    }
  }

  /** The Services that carry an address without a claim, by address. */
  *carriedWithoutClaim(): Iterable<readonly [address: string, services: ReadonlyArray<string>]> {
    for (const address of this.facts.carried()) {
      if (this.claims.byAddress(address) === undefined) yield [address, this.facts.carriersOf(address)]
    }
  }

  /** The lowest address of the pool that is not taken. Does not take it: that is `reserve`'s. */
  lowestFree(pool: string): Option.Option<string> {
    const entry = this.poolIndex.get(pool)
    return entry?.gives ? entry.lowestFree((address) => this.isTaken(address)) : Option.none()
  }

  /** How many addresses of the pool are not taken; 2^53 - 1 stands for that many or more. */
  freeCount(pool: string): number {
    return freeCountOf(this.poolIndex.get(pool), this.world)
  }

  /**
   * Keeps the address for a Service until its claim is there, so that two handlers of one process never choose the
   * same. False when it is taken already, but for a reservation by the same Service. Must be followed by `release`.
   */
  reserve(address: string, service: string): boolean {
    return this.taken.reserve(address, service)
  }

  /** Ends a reservation; nothing when it is not this Service's. */
  release(address: string, service: string): void {
    this.taken.release(address, service)
  }

  claim(address: string): IpClaim | undefined {
    return this.claims.byAddress(address)
  }

  /** The claims that name this Service (`namespace/name`), of whatever uid. */
  claimsOf(service: string): ReadonlyArray<IpClaim> {
    return this.claims.ofService(service)
  }

  /** The claims of Services of this namespace with this sharing key (annotation `external-ip-share`). */
  claimsSharedBy(namespace: string, share: string): ReadonlyArray<IpClaim> {
    return this.claims.ofShare(namespace, share)
  }

  /** How many Services ask for an address and have none. */
  get waitingCount(): number {
    return this.waitingServices.size
  }

  /** The waiting Services that the pool may serve, oldest first. */
  waitingFor(pool: string): ReadonlyArray<Waiting> {
    return this.poolIndex.get(pool)?.waiting.inOrder().slice() ?? []
  }

  /** The waiting Services that would share an address by one of these keys (`namespace/key`). */
  waitingToShare(keys: ReadonlySet<string>): ReadonlyArray<SharingRef> {
    return this.waitingServices.withShare(keys)
  }

  /**
   * How many older waiting Services could take an address of the pool now; counting stops at `limit`. Not counted is
   * who has a claim or a reservation already, or waits for something else than what is free here.
   */
  olderWaiting(service: Service, pool: string, limit: number): number {
    const entry = this.poolIndex.get(pool)
    return entry === undefined ? 0 : olderWaitingFor(entry, ageOf(service), limit, this.world)
  }

  /** Whether the pool has an address left for this Service when every older one that waits for it has got one. */
  isItsTurn(service: Service, pool: string): boolean {
    const entry = this.poolIndex.get(pool)
    return entry !== undefined && isTurnOf(entry, ageOf(service), this.world)
  }

  /** Whom the pool can serve now: as many of the oldest that wait for it, and have nothing yet, as it has addresses. */
  nextInTurn(pool: string): ReadonlyArray<Waiting> {
    const entry = this.poolIndex.get(pool)
    return entry === undefined ? [] : nextInTurn(entry, this.world)
  }

  private get world() {
    return {
      pools: this.poolIndex,
      waiting: this.waitingServices,
      claims: this.claims,
      taken: this.taken,
      isTaken: (address: string, but: string) => this.isTaken(address, but)
    }
  }

  private applicant({ metadata: { namespace = "", labels = {} } }: Service) {
    return this.waitingServices.applicant(namespace, labels)
  }

  private applyPool(name: string, after: IpClaimPool | undefined): void {
    const before = this.poolIndex.get(name)
    const others = this.poolIndex.apply(name, after)
    for (const pool of others) this.waitingServices.requeue(pool)
    const isGone = after === undefined && before !== undefined
    if (isGone) this.waitingServices.forget(before)
    if (isGone || others.length > 0) this.handListed.judgeAgain()
  }

  private applyClaim(change: ClaimChange | undefined): void {
    if (change === undefined) return
    const { address, name, now } = change
    this.eachPoolAround(address, ({ claimed }) => {
      if (now === "held") claimed.set(address, name)
      else if (claimed.get(address) === name) claimed.delete(address)
    })
    if (now === "held") this.taken.take(address)
    else this.taken.giveBack(address)
  }

  private eachPoolAround(address: string, act: (pool: LivePool) => void): void {
    for (const pool of this.poolIndex.around(address)) act(pool)
  }
}
