import type { Cidr } from "./addresses.ts"
import type { RequestOptions } from "./requests.ts"

/** What an administrator decides for the whole cluster. */
export interface Settings extends RequestOptions {
  /** Out of these, `externalIPs` may be written by hand even where no pool has them. */
  readonly externalCidrs: ReadonlyArray<Cidr>
  /** Out of these nothing is given or claimed, whatever a pool says: gateways, the cluster's own ranges. */
  readonly forbiddenCidrs: ReadonlyArray<Cidr>
}

export const defaultSettings: Settings = { loadBalancers: "default", externalCidrs: [], forbiddenCidrs: [] }
