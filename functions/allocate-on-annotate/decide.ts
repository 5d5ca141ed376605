import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Disposition, Reject, Retry, RetryAfter, refKey, refOf } from "#runtime"
import { type Family, familyOf } from "../domain/addresses.ts"
import { isDisputed } from "../domain/disputes.ts"
import { addressOfClaim, isEntryOf, isFromPool } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger, PoolEntry } from "../domain/ledger.ts"
import { shownOf } from "../domain/publishing.ts"
import type { Addresses, Auto } from "../domain/requests.ts"
import { sharable, whyNotShared } from "../domain/sharing.ts"

/**
 * No pool that the Service may use has an address left for it. It waits: it is not tried again, but stays in the ledger's
 * queue until something that it waits for (wakes.ts), or the sweep, wakes it.
 */
export class PoolsExhausted extends Schema.TaggedError<PoolsExhausted>()("PoolsExhausted", {
  family: Schema.String,
  pools: Schema.Array(Schema.String)
}) {
  readonly disposition: Disposition = Reject("AllocationFailed")
  override get message() {
    return `no free ${this.family} address: ${this.pools.join("; ") || "there is no pool; create an IpClaimPool"}`
  }
}

/** The address lies in no pool that the Service may use. It waits. */
export class NotInAnyPool extends Schema.TaggedError<NotInAnyPool>()("NotInAnyPool", {
  address: Schema.String,
  pools: Schema.Array(Schema.String)
}) {
  readonly disposition: Disposition = Reject("AllocationFailed")
  override get message() {
    const pools = this.pools.join("; ") || "there is no pool; create an IpClaimPool"
    return `${this.address} is in no pool that this Service may use: ${pools}`
  }
}

/** The Service carries the address, but no claim holds it, and none can be made. It stays as it is, and waits. */
export class Unclaimable extends Schema.TaggedError<Unclaimable>()("Unclaimable", {
  address: Schema.String,
  why: Schema.String
}) {
  readonly disposition: Disposition = Reject("AllocationFailed")
  override get message() {
    return `${this.address} is on the Service, but no claim holds it and none can be made: ${this.why}`
  }
}

/** Another Service holds the address that was asked for. It waits. */
export class AddressTaken extends Schema.TaggedError<AddressTaken>()("AddressTaken", {
  address: Schema.String,
  why: Schema.String
}) {
  readonly disposition: Disposition = Reject("AllocationFailed")
  override get message() {
    return `${this.address} ${this.why}`
  }
}

/** Nobody can be given what this Service asks for. */
export class RequestRefused extends Schema.TaggedError<RequestRefused>()("RequestRefused", {
  reason: Schema.String,
  detail: Schema.String
}) {
  get disposition(): Disposition {
    return Reject(this.reason)
  }
  override get message() {
    return this.detail
  }
}

/** Another allocator was quicker: decide again on a fresh view. */
export class Overtaken extends Schema.TaggedError<Overtaken>()("Overtaken", { detail: Schema.String }) {
  readonly disposition: Disposition = Retry
  override get message() {
    return this.detail
  }
}

/** Somebody takes our entry off the Service each time that it is put back. */
export class TakenOffAgain extends Schema.TaggedError<TakenOffAgain>()("TakenOffAgain", {
  addresses: Schema.String,
  waitMillis: Schema.Finite
}) {
  get disposition(): Disposition {
    return RetryAfter(this.waitMillis, "TakenOffAgain")
  }
  override get message() {
    return `somebody takes ${this.addresses} off again and again, each time that it is put back: is another controller writing this Service's addresses?`
  }
}

/** One address for the Service, and what has to be done to its claim. */
export interface Choice {
  readonly address: string
  /** The pool that it is from. */
  readonly pool: string | undefined
  /** The claim that is there: ours already, to be shared, or to be taken over from the Service's former self. */
  readonly claim: IpClaim | undefined
}

export type Undecidable = PoolsExhausted | NotInAnyPool | AddressTaken

type Find = (entry: ClaimedService) => Service | undefined

/** What the pools say, one by one, when none of them helps. */
const reasons = (ledger: Ledger, service: Service, request: Auto | Addresses): ReadonlyArray<string> =>
  ledger.pools.slice(0, 10).map((pool) => {
    const { used, available, capacity } = pool
    const others = capacity - used - available
    const more = others <= 0 ? "" : `, ${others} forbidden or taken by others`
    const why =
      ledger.whyNot(pool, service, request) ?? `has no free address (${used} of ${capacity} in use${more})`
    return `${pool.name} ${why}`
  })

/**
 * Chooses an address of each family that is asked for, or checks the ones that are asked for by name.
 *
 * What the Service has already comes first: a claim that names it (somebody died between the claim and the Service),
 * then an address that it shows. Then pools by priority and name, the lowest free address first; and a Service does
 * not take what older ones are waiting for.
 */
export const chooseAddresses = (
  ledger: Ledger,
  service: Service,
  request: Auto | Addresses,
  find: Find
): Result.Result<ReadonlyArray<Choice>, Undecidable> => {
  const chosen: Array<Choice> = []
  if (request._tag === "Addresses") {
    for (const address of request.addresses) {
      const choice = certain(ledger, service, request, address, find)
      if (Result.isFailure(choice)) return Result.fail(choice.failure)
      chosen.push(choice.success)
    }
    return Result.succeed(chosen)
  }
  for (const family of request.families) {
    const choice = any(ledger, service, request, family, find)
    if (Option.isSome(choice)) chosen.push(choice.value)
    else if (family === request.families[0] || request.needsAll === true) {
      return Result.fail(new PoolsExhausted({ family, pools: reasons(ledger, service, request) }))
    }
  }
  return Result.succeed(chosen)
}

/** An address that was asked for by name. */
const certain = (
  ledger: Ledger,
  service: Service,
  request: Addresses,
  address: string,
  find: Find
): Result.Result<Choice, NotInAnyPool | AddressTaken> => {
  const claim = ledger.claim(address)
  const owner = ledger.rightfulOwner(address, refKey(refOf(service)))
  if (owner !== undefined) {
    return Result.fail(new AddressTaken({ address, why: `is carried by Service ${owner}` }))
  }
  if (claim !== undefined) {
    const pool = claim.spec.pool
    // As free-on-delete has it: what it would take back is not given.
    if (!isFromPool(claim, request.pool)) {
      return Result.fail(new AddressTaken({ address, why: `was taken from pool ${pool}` }))
    }
    const mine = (claim.spec.services ?? []).find((entry) => isEntryOf(entry, service))
    // What its author wrote by hand others may list too: it becomes the Service's own only if they may share it.
    const why = whyNotShared(claim, service, request.share, find)
    if (why !== undefined) return Result.fail(new AddressTaken({ address, why }))
    if (mine !== undefined) return Result.succeed({ address, pool, claim })
  }
  const pool = ledger.eligiblePools(service, request).find((entry) => entry.addresses?.contains(address))
  if (pool === undefined) {
    return Result.fail(new NotInAnyPool({ address, pools: reasons(ledger, service, request) }))
  }
  const forbidden = ledger.forbidden(address)
  if (forbidden !== undefined) return Result.fail(new AddressTaken({ address, why: forbidden }))
  const elsewhere = ledger.whyElsewhere(address, refKey(refOf(service)))
  if (elsewhere !== undefined) return Result.fail(new AddressTaken({ address, why: elsewhere }))
  if (claim === undefined && ledger.isTaken(address, refKey(refOf(service)))) {
    return Result.fail(new AddressTaken({ address, why: "is being given to another Service" }))
  }
  return Result.succeed({ address, pool: pool.name, claim })
}

/** Any address of a family. */
const any = (
  ledger: Ledger,
  service: Service,
  request: Auto,
  family: Family,
  find: Find
): Option.Option<Choice> => {
  const key = refKey(refOf(service))
  const pools = ledger.eligiblePools(service, request).filter((pool) => pool.addresses?.family === family)
  for (const claim of ledger.claimsOf(key)) {
    const address = addressOfClaim(claim)
    // What its author wrote by hand is the one address only if a pool has it; else it stays its author's.
    const mine = (claim.spec.services ?? []).some(
      (entry) =>
        isEntryOf(entry, service) &&
        (entry.origin === "allocated" || pools.some(({ addresses }) => addresses?.contains(address))) &&
        whyNotShared(claim, service, request.share, find) === undefined
    )
    if (mine && isFromPool(claim, request.pool) && familyOf(address) === family && !isDisputed(claim)) {
      return Option.some({ address, pool: claim.spec.pool, claim })
    }
  }
  const adopted = adoptable(ledger, service, pools, key)
  if (Option.isSome(adopted)) return adopted
  for (const shared of sharable(ledger, service, request, pools, find)) {
    if (ledger.rightfulOwner(shared.address, key) === undefined) return Option.some(shared)
  }
  for (const pool of pools) {
    if (!ledger.isItsTurn(service, pool.name)) continue
    const lowest = ledger.lowestFree(pool.name)
    if (Option.isSome(lowest))
      return Option.some({ address: lowest.value, pool: pool.name, claim: undefined })
  }
  return Option.none()
}

/** An address that the Service shows already and nobody else holds: from a backup, or from another controller. */
const adoptable = (
  ledger: Ledger,
  service: Service,
  pools: ReadonlyArray<PoolEntry>,
  key: string
): Option.Option<Choice> => {
  for (const address of shownOf(service)) {
    const pool = pools.find((entry) => entry.addresses?.contains(address))
    if (pool === undefined || ledger.isTaken(address, key) || ledger.forbidden(address) !== undefined)
      continue
    return Option.some({ address, pool: pool.name, claim: undefined })
  }
  return Option.none()
}
