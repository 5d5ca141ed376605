import { type Cidr, cidrContains, unusableAs } from "./addresses.ts"

/**
 * What must be known of the cluster to say whether an address may be an external one. All addresses are canonical.
 */
export interface AddressFacts {
  /** The name of the node that has this address (`Node.status.addresses`). */
  readonly nodeOf: (address: string) => string | undefined
  /** The name of the node whose pods have their addresses from around this one (`Node.spec.podCIDRs`). */
  readonly podNodeOf: (address: string) => string | undefined
  /** `namespace/name` of the Service whose clusterIP this is. */
  readonly clusterServiceOf: (address: string) => string | undefined
  /** Gateways of the network, and the cluster's own networks, from configuration. */
  readonly forbiddenCidrs: ReadonlyArray<Cidr>
}

/**
 * Why this address must never be bound and announced for a Service, whoever asks for it, as the end of a sentence
 * that begins with the address (`is an address of node n1`); `undefined` when nothing is against it.
 *
 * CVE-2020-8554: who may write a Service must not be able to draw other people's traffic to it.
 */
export const forbidden = (address: string, facts: AddressFacts): string | undefined => {
  const unusable = unusableAs(address)
  if (unusable !== undefined) return `is ${unusable === "unspecified" ? "an" : "a"} ${unusable} address`
  const node = facts.nodeOf(address)
  if (node !== undefined) return `is an address of node ${node}`
  const service = facts.clusterServiceOf(address)
  if (service !== undefined) return `is the clusterIP of Service ${service}`
  const podNode = facts.podNodeOf(address)
  if (podNode !== undefined) return `belongs to the pods of node ${podNode}`
  const cidr = facts.forbiddenCidrs.find((each) => cidrContains(each, address))
  return cidr === undefined ? undefined : `is in ${cidr.text}, which the administrator forbids`
}
