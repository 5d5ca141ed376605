import type { FleetView, View } from "#runtime"
import type { IpClaimPool } from "../domain/kinds.ts"
import type { LocalEndpoints } from "../domain/local-endpoints.ts"
import type { AssignPolicy } from "../domain/settings.ts"

/** Everything that decides where claims are placed. */
export interface World {
  readonly find: View["find"]
  /** The pool that has the address. */
  readonly poolOf: (address: string) => IpClaimPool | undefined
  readonly endpoints: Pick<LocalEndpoints, "nodesOf">
  readonly fleet: FleetView
  readonly policy: AssignPolicy
  /** A claim whose address a foreign machine has is left alone for so long, unless its status says until when. */
  readonly conflictRetryMillis: number
  /** Milliseconds since the epoch. */
  readonly now: number
}
