import type { IpClaim, Service } from "../domain/kinds.ts"

/** The state of an object that a write is meant for: the API server refuses it (`Conflict`) when there is another by now. */
export const at = ({ metadata: { uid, resourceVersion } }: Service | IpClaim) => ({ uid, resourceVersion })
