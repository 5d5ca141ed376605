import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Index, Kube, type KubeFailure, refOf } from "#runtime"
import { claimName, familyOf } from "../domain/addresses.ts"
import {
  addressOfClaim,
  entryOf,
  isEntryOf,
  isNamedBy,
  isSameEntry,
  newClaim,
  refOfServiceKey,
  serviceKeyOf,
  whyReleased
} from "../domain/holding.ts"
import { type ClaimedService, IpClaim, Namespace, Service } from "../domain/kinds.ts"
import type { Ledger, PoolEntry } from "../domain/ledger.ts"
import { allocatedOf, isPublished, publishedOf, publishWhere } from "../domain/publishing.ts"
import { type Request, type RequestOptions, requestOf, shareOf, wantsAddress } from "../domain/requests.ts"
import { isNamesake, whyNotShared } from "../domain/sharing.ts"
import { ageOf, byAge } from "../domain/waiting.ts"
import { at } from "../shared/at.ts"
import { SharingBroken } from "../shared/sharing-broken.ts"
import { withdraw } from "../shared/withdraw.ts"
import { AddressTaken, Overtaken, TakenOffAgain, Unclaimable } from "./decide.ts"
import type { PutBacks } from "./put-backs.ts"
import { enter, publish } from "./writes.ts"

/** What `keepWhatItCarries` has to know beside the Service. */
export interface Keeping {
  readonly ledgerOf: Index<Ledger>
  readonly request: Request
  readonly putBacks: PutBacks
  readonly options: RequestOptions
}

/** Whether the Service asks for this address, which no claim holds, or at least for nothing else. */
const isAskedFor = (request: Request, address: string, ledger: Ledger): boolean => {
  if (request._tag === "Addresses") return request.addresses.includes(address)
  if (request._tag !== "Auto") return true
  // A pool that is not there yet may contain it when it comes: extip is deployed anew, or a backup restored.
  const wanted = request.pool === undefined ? undefined : ledger.pool(request.pool)?.addresses
  return request.families.includes(familyOf(address)) && wanted?.contains(address) !== false
}

/** Whether the claim names the Service, or what had its name before. */
const wasHeld = (claim: IpClaim, service: Service): boolean =>
  (claim.spec.services ?? []).some((entry) => isNamesake(entry, service))

/** Whether the Service would claim an address that it carries and no claim holds. */
const mayClaim = (service: Service, address: string, ledger: Ledger, options: RequestOptions): boolean => {
  const request = requestOf(service, options)
  const pool = ledger.poolOf(address)
  return (
    wantsAddress(request) &&
    isAskedFor(request, address, ledger) &&
    pool !== undefined &&
    ledger.admits(pool, service)
  )
}

/**
 * Keeps a Service at the addresses that it carries: whatever is missing of claim or publication is mended. An
 * annotation that was copied from another Service carries nothing, and is taken off; and so is an address that nothing
 * holds any more, when its Service asks for another one.
 */
export const keepWhatItCarries = Effect.fnUntraced(function* (
  service: Service,
  { ledgerOf, request, putBacks, options }: Keeping
) {
  const kube = yield* Kube
  const ledger = kube.index(ledgerOf)
  const carried = allocatedOf(service)
  const entry = entryOf(service, "allocated", shareOf(service))
  // Who may not use the pool, and has no claim, wrote the annotation himself, or copied it. But its Namespace, by whose
  // labels the pool admits it, may not have been heard of yet.
  const namespace = kube.find(Namespace, { namespace: "", name: service.metadata.namespace ?? "" })
  const isForged = (pool: PoolEntry | undefined): boolean =>
    pool?.gives === true &&
    (namespace !== undefined || pool.object.spec.namespaceSelector === undefined) &&
    !ledger.admits(pool, service)
  const isHeld = (address: string): boolean => isNamedBy(ledger.claim(address), service)
  // The annotation alone is no title: others may be the ones to whom the address was given. What is shown in a status is
  // one, as Services' authors do not write there.
  const ownerElsewhere = (address: string): string | undefined =>
    publishWhere(service) === "loadBalancer" && publishedOf(service).includes(address)
      ? undefined
      : ledger.servedElsewhere(address)[0]
  const olderCarrier = (address: string): string | undefined =>
    ledger.carriersOf(address).find((key) => {
      const other = kube.find(Service, refOfServiceKey(key))
      return (
        other !== undefined &&
        byAge(ageOf(other), ageOf(service)) < 0 &&
        mayClaim(other, address, ledger, options)
      )
    })
  // One of each family is all that we ever give: more of them its author wrote himself.
  const isSurplus = (address: string): boolean =>
    !isHeld(address) &&
    carried.some(
      (other, index) =>
        other !== address &&
        familyOf(other) === familyOf(address) &&
        (isHeld(other) || index < carried.indexOf(address))
    )
  const mended: Array<string> = []
  const left: Array<string> = []
  let trouble: Unclaimable | SharingBroken | undefined
  for (const address of carried) {
    const claim = ledger.claim(address)
    if (claim !== undefined && isSurplus(address)) left.push(address)
    else if (claim !== undefined && !wasHeld(claim, service) && isForged(ledger.poolOf(address))) {
      const fresh = yield* kube.get(IpClaim, refOf(claim))
      if (fresh === undefined || !wasHeld(fresh, service)) left.push(address)
    } else if (claim === undefined) {
      const pool = ledger.poolOf(address)
      const [elsewhere, older] = [ownerElsewhere(address), olderCarrier(address)]
      if (isForged(pool) || isSurplus(address) || !isAskedFor(request, address, ledger)) {
        // Taken off it cannot be given back: is it really without a claim?
        const fresh = yield* kube.get(IpClaim, { namespace: "", name: claimName(address) })
        if (fresh === undefined) left.push(address)
      } else if (pool === undefined) trouble = new Unclaimable({ address, why: "it is in no pool" })
      else if (!ledger.admits(pool, service)) {
        trouble = new Unclaimable({ address, why: `pool ${pool.name} does not admit the Service` })
      } else if (ledger.forbidden(address) !== undefined) {
        trouble = new Unclaimable({ address, why: `it ${ledger.forbidden(address)}` })
      } else if (elsewhere !== undefined) {
        const why = `Service ${elsewhere} shows it, to which another controller gave it`
        trouble = new Unclaimable({ address, why })
      } else if (older !== undefined) {
        // In its claim there is room for this one, or not.
        const detail = `Service ${older}, which is older, carries ${address} as well, and is to claim it`
        return yield* new Overtaken({ detail })
      } else if (yield* stillCarries(service, address)) {
        // A pool that is asked for and is there no more had another name then: by the new one it would be released.
        const wanted = wantsAddress(request) ? request.pool : undefined
        const from = wanted !== undefined && ledger.pool(wanted) === undefined ? wanted : pool.name
        yield* kube.create(IpClaim, newClaim(address, from, [entry]))
        mended.push(`adopted ${address} into pool ${pool.name}`)
      }
    } else if (isNamedBy(claim, service)) {
      if (yield* isOutdated(service, claim, entry))
        mended.push(`entered the Service's ports into ${claim.metadata.name}`)
      const why = whyNotShared(claim, service, entry.share, (other) => kube.find(Service, other))
      if (why !== undefined) trouble ??= new SharingBroken({ address, why })
    } else {
      yield* takeOver(service, claim, entry)
      mended.push(`took over the claim ${claim.metadata.name}`)
    }
  }
  if (left.length > 0) {
    const present = yield* takeOff(service, left)
    const message = `Cleared ${left.join(" and ")}: no claim holds it, and the Service asks for another one or may not have it`
    if (present !== undefined) {
      const once = `${left.join()} ${present.metadata.resourceVersion}`
      yield* kube.note(Service, present, { type: "Normal", reason: "ClearAssignment", message, once })
    }
    return message
  }
  if (trouble?._tag === "Unclaimable") return yield* trouble
  // It takes two writes to take an address off a LoadBalancer: what is gone after the first is not put back.
  const isBeingFreed = carried.some((address) => {
    const claim = ledger.claim(address)
    const mine = claim?.spec.services?.find((one) => isEntryOf(one, service))
    return (
      claim !== undefined && mine !== undefined && whyReleased(claim, mine, service, options) !== undefined
    )
  })
  if (isBeingFreed) return mended.length === 0 ? undefined : mended.join(", ")
  if (yield* putBack(service, carried, putBacks)) mended.push(`published ${carried.join(" and ")} again`)
  if (trouble !== undefined) return yield* trouble
  return mended.length === 0 ? undefined : mended.join(", ")
})

/** The view may be late: the address was freed meanwhile, and the claim with it. */
const stillCarries = Effect.fnUntraced(function* (service: Service, address: string) {
  const kube = yield* Kube
  const present = yield* kube.get(Service, refOf(service))
  return present?.metadata.uid === service.metadata.uid && allocatedOf(present).includes(address)
})

/** Publishes what is not shown, unless somebody takes it off each time: then less and less often. */
const putBack = Effect.fnUntraced(function* (
  service: Service,
  addresses: ReadonlyArray<string>,
  putBacks: PutBacks
) {
  if (isPublished(service, addresses)) return false
  const { uid } = service.metadata
  const waitMillis = putBacks.waitMillis(uid, yield* Clock.currentTimeMillis)
  if (waitMillis > 0) return yield* new TakenOffAgain({ addresses: addresses.join(", "), waitMillis })
  const wrote = yield* publish(service, addresses)
  if (wrote) putBacks.done(uid, yield* Clock.currentTimeMillis)
  return wrote
})

/** Takes these addresses of ours off the Service, as it is by now; the others stay. */
const takeOff = Effect.fnUntraced(function* (service: Service, gone: ReadonlyArray<string>) {
  const kube = yield* Kube
  const present = yield* kube.get(Service, refOf(service))
  if (present === undefined || present.metadata.uid !== service.metadata.uid) return
  const carried = allocatedOf(present)
  const keep = carried.filter((address) => !gone.includes(address))
  if (keep.length === carried.length) return
  return yield* withdraw(present, keep)
})

/** Ports and key in a claim are what sharing is decided by, so they follow the Service. */
const isOutdated = Effect.fnUntraced(function* (service: Service, claim: IpClaim, entry: ClaimedService) {
  const kube = yield* Kube
  const present = claim.spec.services ?? []
  const mine = present.find((one) => one.uid === entry.uid)
  if (mine === undefined || isSameEntry(mine, entry)) return false
  // A host that was cut off for a while may have an older one in mind.
  const now = yield* kube.get(Service, refOf(service))
  if (now?.metadata.resourceVersion !== service.metadata.resourceVersion) {
    return yield* new Overtaken({ detail: "the Service is another one by now" })
  }
  const services = present.map((one) => (one.uid === entry.uid ? entry : one))
  yield* kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services } })
  return true
})

/** The claim names others. It was this Service's before it was restored, or may be shared; or it is not its own. */
const takeOver = Effect.fnUntraced(function* (
  service: Service,
  claim: IpClaim,
  entry: ClaimedService
): Effect.fn.Return<void, KubeFailure | AddressTaken | Overtaken, Kube> {
  const kube = yield* Kube
  const fresh = yield* kube.get(IpClaim, refOf(claim))
  if (fresh === undefined) return yield* new Overtaken({ detail: `the claim ${claim.metadata.name} is gone` })
  // Its own former self is in nobody's way: that is what it takes over from.
  const others = (fresh.spec.services ?? []).filter((one) => serviceKeyOf(one) !== serviceKeyOf(entry))
  const held = { ...fresh, spec: { ...fresh.spec, services: others } }
  const why = whyNotShared(held, service, entry.share, (other) => kube.find(Service, other))
  if (why === undefined) {
    yield* enter(service, fresh, entry)
    return
  }
  const address = addressOfClaim(fresh)
  yield* takeOff(service, [address])
  return yield* new AddressTaken({ address, why })
})
