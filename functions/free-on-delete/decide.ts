import { addressOfClaim, isNamedBy, serviceKeyOf, whyReleased } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import { allocatedOf } from "../domain/publishing.ts"
import { type RequestOptions, requestOf } from "../domain/requests.ts"

/** One Service's share of one claim that is to end, and why. */
export interface Release {
  readonly claim: IpClaim
  readonly entry: ClaimedService
  readonly why: string
}

/** Which of the claims that name this key (`namespace/name`) its present Service, if any, does not hold any more. */
export const releasesOf = (
  key: string,
  claims: ReadonlyArray<IpClaim>,
  service: Service | undefined,
  options: RequestOptions
): ReadonlyArray<Release> =>
  claims.flatMap((claim) =>
    (claim.spec.services ?? [])
      .filter((entry) => serviceKeyOf(entry) === key)
      .flatMap((entry) => {
        const why = whyReleased(claim, entry, service, options)
        return why === undefined ? [] : [{ claim, entry, why }]
      })
  )

/** Whether the Service shows addresses of ours that no claim of its backs, and asks for none. */
export const showsWithoutAsking = (
  service: Service | undefined,
  claims: ReadonlyArray<IpClaim>,
  options: RequestOptions
): service is Service =>
  service !== undefined &&
  service.metadata.deletionTimestamp === undefined &&
  requestOf(service, options)._tag === "None" &&
  allocatedOf(service).some(
    (address) => !claims.some((claim) => addressOfClaim(claim) === address && isNamedBy(claim, service))
  )

/** The claim's other Services: they keep it. */
export const othersOf = (claim: IpClaim, gone: ClaimedService): ReadonlyArray<ClaimedService> =>
  (claim.spec.services ?? []).filter(
    (entry) => serviceKeyOf(entry) !== serviceKeyOf(gone) || entry.uid !== gone.uid
  )
