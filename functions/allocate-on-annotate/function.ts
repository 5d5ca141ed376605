import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { create, defineFunction, Kube, patch, patchStatus, read, refKey, refOf, remove } from "#runtime"
import { isGivenTo } from "../domain/holding.ts"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { allocatedOf } from "../domain/publishing.ts"
import { requestOf, stillAskedFor, wantsAddress } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { chooseAddresses, RequestRefused, TakenOffAgain } from "./decide.ts"
import { keepWhatItCarries } from "./keep.ts"
import { PutBacks } from "./put-backs.ts"
import {
  servicesThatHaveLostTheirClaim,
  servicesThatShowWithoutClaim,
  servicesThatWait,
  servicesThatWaitFor,
  servicesThatWaitForWhatItCarried,
  servicesThatWaitToShare,
  servicesThatWaitToShareWithIt
} from "./wakes.ts"
import { giveBack, hold, leaveUnshared, publish } from "./writes.ts"

/**
 * Gives a Service that asks for one exactly one external address (of each family that it asks for).
 *
 * A claim *holds* an address for the Services that it names; a Service *carries* it in its annotation `allocated`, and
 * *shows* it in externalIPs or ingress. The *ledger* is an index over the view: what is taken, what is free, who waits.
 *
 * Reads   the Service, and in the ledger which older ones wait too; pools and claims; Namespaces, which pools select by;
 *         Nodes, whose addresses nobody is given. From the API server itself, before it takes an address off, claims
 *         again what the Service carries, takes a claim over, or enters other ports: that claim and the Service.
 * Writes  in this order: one IpClaim per address, or the Service into one that is to be shared (its name is the lock on
 *         the address); then annotation and address on the Service (its resource version is the lock on the Service),
 *         for a LoadBalancer in its status. Takes back: claims of its own that lost the race; what a copied annotation
 *         shows; what no claim holds, when its Service asks for another.
 * Repeat  harmless: whoever died after the claim finds the claim that names the Service, and publishes it; after the
 *         annotation, completes from that what is missing; if the Service is gone or asks no more, `free-on-delete`
 *         takes the claim. Only the Event may be lost. (Hosts are killed in mid-fill by `functions-crash.test.ts`.)
 */
export const allocateOnAnnotate = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  const putBacks = new PutBacks()
  const carriedYet = new Set<string>()
  return defineFunction({
    name: "allocate-on-annotate",
    on: [
      Service.changed,
      // Whoever was to be next is gone: then others are.
      Service.deleted.wakes(servicesThatWait(ledgerOf)),
      IpClaimPool.specChanged.wakes(servicesThatHaveLostTheirClaim(ledgerOf)),
      IpClaimPool.specChanged.wakes(servicesThatShowWithoutClaim(ledgerOf)),
      IpClaimPool.specChanged.wakes(servicesThatWait(ledgerOf)),
      IpClaimPool.deleted.wakes(servicesThatWait(ledgerOf)),
      IpClaim.deleted.wakes(servicesThatWaitFor(ledgerOf, carriedYet)),
      Service.changed.wakes(servicesThatWaitForWhatItCarried(ledgerOf, carriedYet)),
      IpClaim.specChanged.wakes(servicesThatWaitToShare(ledgerOf)),
      Service.changed.wakes(servicesThatWaitToShareWithIt(ledgerOf)),
      Namespace.changed.wakes(servicesThatWait(ledgerOf)),
      Node.changed.wakes(servicesThatWait(ledgerOf)),
      Node.deleted.wakes(servicesThatWait(ledgerOf))
    ],
    when: function asksForAnAddress(service: Service) {
      return requestOf(service, settings)._tag !== "None"
    },
    needs: [
      read(...ledgerReads),
      create(IpClaim),
      patch(IpClaim),
      patch(Service),
      patchStatus(Service),
      remove(IpClaim)
    ],
    handle: Effect.fnUntraced(function* (service: Service) {
      const kube = yield* Kube
      const request = requestOf(service, settings)
      const carried = allocatedOf(service)
      const kept =
        carried.length > 0
          ? yield* keepWhatItCarries(service, { ledgerOf, request, putBacks, options: settings })
          : undefined
      if (request._tag === "Refused") {
        return yield* new RequestRefused({ reason: request.reason, detail: request.message })
      }
      const open = wantsAddress(request) ? stillAskedFor(request, carried) : undefined
      const now = kube.find(Service, refOf(service))
      // It was written, and its event wakes us for the rest.
      const isWritten = now?.metadata.resourceVersion !== service.metadata.resourceVersion
      if (open === undefined || isWritten) return kept
      const ledger = kube.index(ledgerOf)
      const key = refKey(refOf(service))
      const chosen = chooseAddresses(ledger, service, open, (entry) => kube.find(Service, entry))
      // It has what it needs; a second family is welcome, and can be had or not.
      const isOptional = carried.length > 0 && open._tag === "Auto" && open.needsAll !== true
      if (isOptional && Result.isFailure(chosen)) return kept
      if (Result.isFailure(chosen) && carried.length === 0) yield* leaveUnshared(service, ledger, open.share)
      const choices = yield* Effect.fromResult(chosen)
      const { uid } = service.metadata
      // It was given before: whoever replaces the whole object took annotation and address off.
      const isAgain = choices.some(({ claim }) => claim !== undefined && isGivenTo(claim, service))
      if (isAgain) {
        const waitMillis = putBacks.waitMillis(uid, yield* Clock.currentTimeMillis)
        const taken = choices.map(({ address }) => address).join(", ")
        if (waitMillis > 0) return yield* new TakenOffAgain({ addresses: taken, waitMillis })
      }
      const addresses = choices.map(({ address }) => address)
      // In the same turn as the choice: no other handler of this process comes in between.
      for (const address of addresses) ledger.reserve(address, key)
      return yield* Effect.gen(function* () {
        const claims = yield* hold(service, choices, open.share)
        yield* publish(service, [...carried, ...addresses]).pipe(
          Effect.catchTag("Conflict", (lost) => giveBack(service, claims, lost)),
          Effect.catchTag("NotFound", (lost) => giveBack(service, claims, lost))
        )
        if (isAgain) putBacks.done(uid, yield* Clock.currentTimeMillis)
        return `${kept === undefined ? "" : `${kept}, and `}gave ${addresses.join(" and ")} from ${choices.map(({ pool }) => pool).join(" and ")}`
      }).pipe(
        Effect.ensuring(
          Effect.sync(() => {
            for (const address of addresses) ledger.release(address, key)
          })
        )
      )
    })
  })
}
