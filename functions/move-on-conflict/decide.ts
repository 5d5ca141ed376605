import * as Option from "effect/Option"
import { familyOf } from "../domain/addresses.ts"
import { addressOfClaim, isEntryOf } from "../domain/holding.ts"
import type { ClaimedService, IpClaim, Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { allocatedOf } from "../domain/publishing.ts"
import { type RequestOptions, requestOf } from "../domain/requests.ts"

/**
 * Whether the Service gives up the disputed address for another one: it asked for any, and there is one for it. One
 * that was asked for by name is waited for, as is one for which there is no other.
 */
export const mayMove = (
  claim: IpClaim,
  entry: ClaimedService,
  service: Service | undefined,
  ledger: Ledger,
  options: RequestOptions
): service is Service => {
  if (entry.origin !== "allocated" || service === undefined || !isEntryOf(entry, service)) return false
  const address = addressOfClaim(claim)
  const request = requestOf(service, options)
  if (request._tag !== "Auto" || !request.families.includes(familyOf(address))) return false
  // Somebody died after it was taken off the Service, or the Service has another one by now.
  if (!allocatedOf(service).includes(address)) return true
  return ledger
    .eligiblePools(service, request)
    .some(
      ({ name, addresses }) =>
        addresses?.family === familyOf(address) &&
        ledger.isItsTurn(service, name) &&
        Option.isSome(ledger.lowestFree(name))
    )
}
