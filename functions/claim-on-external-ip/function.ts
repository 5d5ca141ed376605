import * as Effect from "effect/Effect"
import { create, defineFunction, Kube, patch, read, refOf } from "#runtime"
import { entryOf, newClaim } from "../domain/holding.ts"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { handWrittenOf } from "../domain/publishing.ts"
import { annotationOf, annotations } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"
import { ExternalIpsRefused, judgeExternalIps } from "./decide.ts"
import { servicesThatList, servicesThatListIt } from "./wakes.ts"

/**
 * Claims the addresses that a Service's author wrote into `spec.externalIPs`, so that they are bound.
 *
 * Reads   the Service, pools and claims. Woken also for a Service that lists an address whose claim was deleted, or whose
 *         pool came later.
 * Writes  one IpClaim per address, or the Service into the one that is there: several may list the same address.
 * Repeat  harmless: a claim that names the Service already is left as it is.
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
      return service.metadata.deletionTimestamp === undefined && addresses.length + unparsable.length > 0
    },
    needs: [read(...ledgerReads), create(IpClaim), patch(IpClaim)],
    handle: Effect.fnUntraced(function* (service: Service) {
      const kube = yield* Kube
      const find = (entry: { namespace: string; name: string }) => kube.find(Service, entry)
      const { wanted, refusals } = judgeExternalIps(kube.index(ledgerOf), service, settings, find)
      const entry = entryOf(service, "external", annotationOf(service, annotations.share))
      for (const { address, pool, claim } of wanted) {
        if (claim === undefined) yield* kube.create(IpClaim, newClaim(address, pool, [entry]))
        else {
          const { uid, resourceVersion } = claim.metadata
          const others = (claim.spec.services ?? []).filter(
            ({ namespace, name }) => namespace !== entry.namespace || name !== entry.name
          )
          yield* kube.patch(
            IpClaim,
            refOf(claim),
            { uid, resourceVersion },
            { spec: { services: [...others, entry] } }
          )
        }
      }
      if (refusals.length > 0) return yield* new ExternalIpsRefused({ refusals })
      return wanted.length === 0 ? undefined : `claimed ${wanted.map(({ address }) => address).join(" and ")}`
    })
  })
}
