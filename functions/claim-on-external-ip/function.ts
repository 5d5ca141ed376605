import * as Effect from "effect/Effect"
import { create, defineFunction, Kube, patch, read, readFresh, refOf } from "#runtime"
import { entryOf, newClaim } from "../domain/holding.ts"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { handWrittenOf } from "../domain/publishing.ts"
import { shareOf } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { at } from "../shared/at.ts"
import { ExternalIpsRefused, judgeExternalIps } from "./decide.ts"
import { servicesThatList, servicesThatListIt } from "./wakes.ts"

/**
 * Claims the addresses that a Service's author wrote into `spec.externalIPs`, so that they are bound.
 *
 * Reads   the Service, pools and claims. Woken also for a Service that lists an address whose claim was deleted, or whose
 *         pool came later. From the API server itself, before it enters other ports or another key: the Service.
 * Writes  one IpClaim per address, or the Service into the one that is there: several may list the same address. What
 *         sharing is decided by, its ports and its key, follows the Service.
 * Repeat  harmless: a claim that names the Service as it is already is left as it is.
 */
export const claimOnExternalIp = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineFunction({
    name: "claim-on-external-ip",
    on: [
      Service.changed,
      IpClaim.deleted.wakes(servicesThatListIt(ledgerOf)),
      IpClaimPool.specChanged.wakes(servicesThatList(ledgerOf)),
      IpClaimPool.deleted.wakes(servicesThatList(ledgerOf)),
      Namespace.changed.wakes(servicesThatList(ledgerOf)),
      Node.changed.wakes(servicesThatList(ledgerOf)),
      Node.deleted.wakes(servicesThatList(ledgerOf)),
      Service.deleted.wakes(servicesThatList(ledgerOf))
    ],
    when: function listsExternalIpsByHand(service: Service) {
      const { addresses, unparsable } = handWrittenOf(service)
      return service.metadata.deletionTimestamp === undefined && addresses.size + unparsable.length > 0
    },
    needs: [read(...ledgerReads), readFresh(Service), create(IpClaim), patch(IpClaim)],
    handle: Effect.fnUntraced(function* (service: Service) {
      const kube = yield* Kube
      const find = (entry: { namespace: string; name: string }) => kube.find(Service, entry)
      const { wanted, outdated, refusals, broken } = judgeExternalIps(
        kube.index(ledgerOf),
        service,
        settings,
        find
      )
      const entry = entryOf(service, "external", shareOf(service))
      const done: Array<string> = []
      for (const { address, pool, claim } of wanted) {
        if (claim === undefined) yield* kube.create(IpClaim, newClaim(address, pool, [entry]))
        else {
          const others = (claim.spec.services ?? []).filter(
            ({ namespace, name }) => namespace !== entry.namespace || name !== entry.name
          )
          yield* kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services: [...others, entry] } })
        }
        done.push(`claimed ${address}`)
      }
      for (const { claim, entry: newer } of outdated) {
        // A host that was cut off for a while may have an older one in mind: the newer one's event wakes us for that.
        const now = yield* kube.get(Service, refOf(service))
        if (now?.metadata.resourceVersion !== service.metadata.resourceVersion) break
        const services = (claim.spec.services ?? []).map((one) => (one.uid === newer.uid ? newer : one))
        yield* kube.patch(IpClaim, refOf(claim), at(claim), { spec: { services } })
        done.push(`entered the Service's ports into ${claim.metadata.name}`)
      }
      if (broken !== undefined) return yield* broken
      if (refusals.length > 0) return yield* new ExternalIpsRefused({ refusals })
      return done.length === 0 ? undefined : done.join(", ")
    })
  })
}
