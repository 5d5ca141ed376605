import type { IpClaim } from "./kinds.ts"

/**
 * Whether a foreign machine has the claim's address, and none of ours ever had it. Whoever asks for any address is
 * better off with another one.
 */
export const isDisputed = (claim: IpClaim): boolean =>
  claim.status?.phase === "Conflict" && claim.status.boundAt === undefined
