import type { Cidr } from "./addresses.ts"
import type { RequestOptions } from "./requests.ts"

/** What an administrator decides for the whole cluster. */
export interface Settings extends RequestOptions {
  /** Out of these, `externalIPs` may be written by hand even where no pool has them. */
  readonly externalCidrs: ReadonlyArray<Cidr>
  /** Out of these nothing is given or claimed, whatever a pool says: gateways, the cluster's own ranges. */
  readonly forbiddenCidrs: ReadonlyArray<Cidr>
  readonly assignPolicy: AssignPolicy
  /** After a foreign machine has answered for an address, it is left alone for so long. */
  readonly conflictRetryMillis: number
}

/**
 * Which of the nodes that may have an address is given it.
 *
 * - `fair`: the one with the fewest.
 * - `first-alive`: the first by name.
 */
export type AssignPolicy = "fair" | "first-alive"

export const defaultSettings: Settings = {
  loadBalancers: "default",
  externalCidrs: [],
  forbiddenCidrs: [],
  assignPolicy: "fair",
  conflictRetryMillis: 60_000
}
