import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { type Conflict, type Index, Kube, type KubeFailure, type NotFound, refOf } from "#runtime"
import { claimName, familyOf } from "../domain/addresses.ts"
import { addressOfClaim, entryOf, isEntryOf, isSameEntry, newClaim, serviceKeyOf } from "../domain/holding.ts"
import { type ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import {
  allocatedOf,
  ingressPatch,
  isPublished,
  publishPatch,
  publishWhere,
  withdrawPatch
} from "../domain/publishing.ts"
import { annotationOf, annotations, type Request } from "../domain/requests.ts"
import { whyNotShared } from "../domain/sharing.ts"
import { AddressTaken, type Choice, NotInAnyPool, Overtaken, SharingBroken, TakenOffAgain } from "./decide.ts"
import type { PutBacks } from "./put-backs.ts"

const at = (object: Service | IpClaim) => ({
  uid: object.metadata.uid,
  resourceVersion: object.metadata.resourceVersion
})

/** Enters the Service into the claim, in place of its former self if that is there. */
const enter = Effect.fnUntraced(function* (service: Service, claim: IpClaim, entry: ClaimedService) {
  const kube = yield* Kube
  const present = claim.spec.services ?? []
  if (present.some((one) => one.uid === entry.uid && one.origin === entry.origin)) {
    // It stopped asking and asks again, perhaps: a release that is under way must lose this claim's lock now, or it
    // would delete the claim of an address that is being published.
    const annotation = { [annotations.takenUp]: service.metadata.resourceVersion }
    return yield* kube.patch(IpClaim, refOf(claim), at(claim), { metadata: { annotations: annotation } })
  }
  const others = present.filter((one) => serviceKeyOf(one) !== serviceKeyOf(entry))
  return yield* kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services: [...others, entry] } })
})

/** Makes the claims, or enters the Service into those that are there. Answers with what it has changed. */
export const hold = Effect.fnUntraced(function* (
  service: Service,
  choices: ReadonlyArray<Choice>,
  share: string | undefined
) {
  const kube = yield* Kube
  const entry = entryOf(service, "allocated", share)
  const held: Array<IpClaim> = []
  for (const { address, pool, claim } of choices) {
    held.push(
      claim === undefined
        ? yield* kube
            .create(IpClaim, newClaim(address, pool, [entry]))
            .pipe(
              Effect.catchTag("AlreadyExists", () =>
                Effect.fail(new Overtaken({ detail: `${address} was taken by another allocator meanwhile` }))
              )
            )
        : yield* enter(service, claim, entry)
    )
  }
  return held
})

/** Shows the addresses on the Service, under its resource version. Writes nothing where they are shown already. */
export const publish = Effect.fnUntraced(function* (service: Service, addresses: ReadonlyArray<string>) {
  const kube = yield* Kube
  const main = publishPatch(service, addresses)
  let present =
    main === undefined ? service : yield* kube.patch(Service, refOf(service), at(service), { ...main })
  const ingress = publishWhere(present) === "loadBalancer" ? ingressPatch(present, addresses) : undefined
  if (ingress !== undefined) present = yield* kube.patchStatus(Service, refOf(present), at(present), ingress)
  if (main === undefined && ingress === undefined) return false
  // An address that moves from externalIPs to the ingress leaves the former once the latter shows it.
  const rest = ingress === undefined ? undefined : publishPatch(present, addresses)
  if (rest !== undefined) present = yield* kube.patch(Service, refOf(present), at(present), { ...rest })
  const list = addresses.join(", ")
  yield* kube.note(Service, present, {
    type: "Normal",
    reason: "IPAllocated",
    message: `Assigned IP ${list}`,
    once: `${list} ${present.metadata.resourceVersion}`
  })
  return true
})

/**
 * The Service's lock was lost. If the Service is gone, another one by now, being deleted, or carries other addresses, it is
 * taken out of these claims, and those that name nobody are deleted. Otherwise they stay: the next attempt publishes
 * them, or free-on-delete frees them.
 */
export const giveBack = Effect.fnUntraced(function* (
  service: Service,
  claims: ReadonlyArray<IpClaim>,
  lost: Conflict | NotFound
) {
  const kube = yield* Kube
  const now = kube.find(Service, refOf(service))
  const isMine = now?.metadata.uid === service.metadata.uid && now.metadata.deletionTimestamp === undefined
  const carried = now === undefined ? [] : allocatedOf(now)
  for (const claim of claims) {
    if (isMine && (carried.length === 0 || carried.includes(addressOfClaim(claim)))) continue
    const others = (claim.spec.services ?? []).filter((entry) => !isEntryOf(entry, service))
    yield* others.length === 0
      ? kube.remove(IpClaim, refOf(claim), at(claim))
      : kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services: others } })
  }
  return yield* lost
})

/** What `keepWhatItCarries` has to know beside the Service. */
export interface Keeping {
  readonly ledgerOf: Index<Ledger>
  readonly request: Request
  readonly putBacks: PutBacks
}

/** Whether the Service asks for this address, which no claim holds, or at least for nothing else. */
const isAskedFor = (request: Request, address: string, ledger: Ledger): boolean => {
  if (request._tag === "Addresses") return request.addresses.includes(address)
  if (request._tag !== "Auto") return true
  // A pool that is not there yet may contain it when it comes: extip is deployed anew, or a backup restored.
  const wanted = request.pool === undefined ? undefined : ledger.pool(request.pool)?.addresses
  return request.families.includes(familyOf(address)) && wanted?.contains(address) !== false
}

/**
 * Keeps a Service at the addresses that it carries: whatever is missing of claim or publication is mended. An
 * annotation that was copied from another Service carries nothing, and is taken off; and so is an address that nothing
 * holds any more, when its Service asks for another one.
 */
export const keepWhatItCarries = Effect.fnUntraced(function* (
  service: Service,
  { ledgerOf, request, putBacks }: Keeping
) {
  const kube = yield* Kube
  const ledger = kube.index(ledgerOf)
  const carried = allocatedOf(service)
  const entry = entryOf(service, "allocated", annotationOf(service, annotations.share))
  const mended: Array<string> = []
  const left: Array<string> = []
  let trouble: NotInAnyPool | SharingBroken | undefined
  for (const address of carried) {
    const claim = ledger.claim(address)
    if (claim === undefined) {
      const pool = ledger.poolOf(address)
      // Who may not use the pool, and has no claim, wrote the annotation himself, or copied it.
      const isForged = pool?.gives === true && !ledger.admits(pool, service)
      if (isForged || !isAskedFor(request, address, ledger)) {
        // Taken off it cannot be given back: is it really without a claim?
        const fresh = yield* kube.get(IpClaim, { namespace: "", name: claimName(address) })
        if (fresh === undefined) left.push(address)
      } else if (
        pool === undefined ||
        !ledger.admits(pool, service) ||
        ledger.forbidden(address) !== undefined
      ) {
        trouble = new NotInAnyPool({ address, pools: ["it is not given out without a claim that holds it"] })
      } else if (yield* stillCarries(service, address)) {
        yield* kube.create(IpClaim, newClaim(address, pool.name, [entry]))
        mended.push(`adopted ${address} into pool ${pool.name}`)
      }
    } else if ((claim.spec.services ?? []).some((one) => isEntryOf(one, service))) {
      if (yield* isOutdated(claim, entry))
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
  if (trouble?._tag === "NotInAnyPool") return yield* trouble
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
  const ingress = ingressPatch(present, keep)
  const cleared =
    ingress === undefined ? present : yield* kube.patchStatus(Service, refOf(present), at(present), ingress)
  const rest = keep.length === 0 ? withdrawPatch(cleared) : publishPatch(cleared, keep)
  return rest === undefined ? cleared : yield* kube.patch(Service, refOf(cleared), at(cleared), { ...rest })
})

/** Ports and key in a claim are what sharing is decided by, so they follow the Service. */
const isOutdated = Effect.fnUntraced(function* (claim: IpClaim, entry: ClaimedService) {
  const kube = yield* Kube
  const present = claim.spec.services ?? []
  const mine = present.find((one) => one.uid === entry.uid)
  if (mine === undefined || isSameEntry(mine, entry)) return false
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
