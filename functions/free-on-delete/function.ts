import * as Effect from "effect/Effect"
import { defineFunction, type Keyed, Kube, patch, patchStatus, read, refKey, refOf, remove } from "#runtime"
import { addressOfClaim, shownStill } from "../domain/holding.ts"
import { IpClaim, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { allocatedOf } from "../domain/publishing.ts"
import type { Settings } from "../domain/settings.ts"
import { at } from "../shared/at.ts"
import { withdraw } from "../shared/withdraw.ts"
import { othersOf, releasesOf, showsWithoutAsking } from "./decide.ts"

/**
 * Frees the addresses of a Service that is gone, was created again under its name, or no longer asks for them.
 *
 * Reads   the claims that name the Service; the Service itself from the API server, before anything is taken away.
 * Writes  outside in: takes the address off the Service, the Service out of the claim, and deletes a claim without any.
 * Repeat  harmless: every step is made under uid and resource version, and is passed over when it has been made.
 */
export const freeOnDelete = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineFunction({
    name: "free-on-delete",
    on: [Service.touched],
    needs: [read(...ledgerReads), patch(Service), patchStatus(Service), patch(IpClaim), remove(IpClaim)],
    handle: Effect.fnUntraced(function* ({ ref, now }: Keyed<Service>) {
      const kube = yield* Kube
      const key = refKey(ref)
      const claims = kube.index(ledgerOf).claimsOf(key)
      if (releasesOf(key, claims, now, settings).length === 0 && !showsWithoutAsking(now, claims, settings))
        return
      // The view may be late, and what is taken away now cannot be given back: ask the API server itself.
      const fresh = yield* kube.get(Service, ref)
      const releases = releasesOf(key, claims, fresh, settings)
      const gone = releases.map(({ claim }) => addressOfClaim(claim))
      const carried = fresh === undefined ? [] : allocatedOf(fresh)
      const lost =
        fresh === undefined
          ? []
          : releases.filter(({ claim }) => shownStill(fresh, claim)).map(({ claim }) => addressOfClaim(claim))
      if (showsWithoutAsking(fresh, claims, settings)) yield* clear(fresh, [], lost)
      else if (
        fresh !== undefined &&
        (lost.length > 0 || carried.some((address) => gone.includes(address)))
      ) {
        const keeps = carried.filter((address) => !gone.includes(address))
        yield* clear(fresh, keeps, lost)
      }
      for (const { claim, entry } of releases) {
        const others = othersOf(claim, entry)
        yield* others.length === 0
          ? kube.remove(IpClaim, refOf(claim), at(claim))
          : kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services: others } })
      }
      const [first] = releases
      return first === undefined
        ? "took off what it no longer asks for"
        : `freed ${gone.join(" and ")}: ${first.why}`
    })
  })
}

const clear = Effect.fnUntraced(function* (
  service: Service,
  keeps: ReadonlyArray<string>,
  lost: ReadonlyArray<string>
) {
  const kube = yield* Kube
  const present = yield* withdraw(service, keeps, lost)
  yield* kube.note(Service, present, {
    type: "Normal",
    reason: "ClearAssignment",
    message: keeps.length === 0 ? "Cleared the external IP" : `Kept ${keeps.join(", ")}, cleared the others`,
    once: `cleared ${present.metadata.resourceVersion}`
  })
})
