import * as Effect from "effect/Effect"
import { type Conflict, Kube, type NotFound, refKey, refOf } from "#runtime"
import {
  addressOfClaim,
  entryOf,
  isEntryOf,
  isGivenTo,
  newClaim,
  serviceKeyOf,
  shownStill
} from "../domain/holding.ts"
import { type ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import {
  allocatedOf,
  foreignIngressOf,
  ingressPatch,
  publishPatch,
  publishWhere
} from "../domain/publishing.ts"
import { annotations } from "../domain/requests.ts"
import { whyNotShared } from "../domain/sharing.ts"
import { at } from "../shared/at.ts"
import { withdraw } from "../shared/withdraw.ts"
import { type Choice, Overtaken } from "./decide.ts"

/** What a claim is marked with whose address another controller has put on the Service. */
const adoptedFrom = (service: Service, address: string) =>
  foreignIngressOf(service).includes(address) ? { [annotations.adopted]: "true" } : undefined

/** Enters the Service into the claim, in place of its former self if that is there. */
export const enter = Effect.fnUntraced(function* (service: Service, claim: IpClaim, entry: ClaimedService) {
  const kube = yield* Kube
  const present = claim.spec.services ?? []
  if (present.some((one) => one.uid === entry.uid && one.origin === entry.origin)) {
    // It stopped asking and asks again, perhaps: a release that is under way must lose this claim's lock now, or it
    // would delete the claim of an address that is being published.
    const annotation = { [annotations.takenUp]: service.metadata.resourceVersion }
    return yield* kube.patch(IpClaim, refOf(claim), at(claim), { metadata: { annotations: annotation } })
  }
  const others = present.filter((one) => serviceKeyOf(one) !== serviceKeyOf(entry))
  const adopted = adoptedFrom(service, addressOfClaim(claim))
  return yield* kube.patch(IpClaim, refOf(claim), at(claim), {
    ...(adopted === undefined ? {} : { metadata: { annotations: adopted } }),
    spec: { services: [...others, entry] }
  })
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
  const made: Array<IpClaim> = []
  for (const { address, pool, claim } of choices) {
    if (claim !== undefined) {
      held.push(yield* enter(service, claim, entry))
      continue
    }
    const created = yield* kube
      .create(IpClaim, newClaim(address, pool, [entry], adoptedFrom(service, address)))
      .pipe(
        Effect.catchTag(
          "AlreadyExists",
          Effect.fnUntraced(function* () {
            // Perhaps none is left of this family: then what was made for the other one is not kept from those who wait.
            // Another host that has taken it up for this Service meanwhile has written it: then it stays.
            for (const one of made) yield* kube.remove(IpClaim, refOf(one), at(one))
            return yield* new Overtaken({ detail: `${address} was taken by another allocator meanwhile` })
          })
        )
      )
    made.push(created)
    held.push(created)
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
    yield* leave(service, claim)
  }
  return yield* lost
})

/** Takes the Service out of the claim, and deletes that if it then names nobody. */
export const leave = Effect.fnUntraced(function* (service: Service, claim: IpClaim) {
  const kube = yield* Kube
  const others = (claim.spec.services ?? []).filter((entry) => !isEntryOf(entry, service))
  yield* others.length === 0
    ? kube.remove(IpClaim, refOf(claim), at(claim))
    : kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services: others } })
})

/**
 * Takes the Service out of the claims that it was entered into while it could share them, and may not publish any more:
 * its ports or its key have changed before it was given the address.
 */
export const leaveUnshared = Effect.fnUntraced(function* (
  service: Service,
  ledger: Ledger,
  share: string | undefined
) {
  const kube = yield* Kube
  for (const claim of ledger.claimsOf(refKey(refOf(service)))) {
    const why = whyNotShared(claim, service, share, (other) => kube.find(Service, other))
    if (!isGivenTo(claim, service) || why === undefined) continue
    const fresh = shownStill(service, claim) ? yield* kube.get(Service, refOf(service)) : undefined
    if (fresh !== undefined && shownStill(fresh, claim)) {
      yield* withdraw(fresh, allocatedOf(fresh), [addressOfClaim(claim)])
    }
    yield* leave(service, claim)
  }
})
