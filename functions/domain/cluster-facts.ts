import { type Cidr, canonicalAddress, familyOf, parseCidr, unusableNetworks } from "./addresses.ts"
import type { Node, Service } from "./kinds.ts"
import { type BlockedListener, Networks, Owners } from "./networks.ts"
import { allocatedOf, foreignIngressOf } from "./publishing.ts"
import type { AddressFacts } from "./security.ts"

/** What of the cluster's networks is known from configuration. */
export interface NetworkOptions {
  /** Gateways of the network, the cluster's own networks: out of these nothing is given. */
  readonly forbiddenCidrs?: ReadonlyArray<Cidr>
}

/** Who is told when single addresses, or whole networks, become unusable for Services or usable again. */
export interface FactsListener extends BlockedListener {
  readonly networksChanged: (changed: ReadonlyArray<Cidr>) => void
}

const addressesOfNode = (node: Node | undefined): ReadonlySet<string> =>
  new Set(
    (node?.status?.addresses ?? [])
      .map(({ address }) => canonicalAddress(address))
      .filter((address) => address !== undefined)
  )

const podCidrsOfNode = (node: Node | undefined): ReadonlyMap<string, Cidr> =>
  new Map(
    [...(node?.spec?.podCIDRs ?? []), node?.spec?.podCIDR ?? ""]
      .map(parseCidr)
      .filter((cidr) => cidr !== undefined)
      .map((cidr) => [cidr.text, cidr])
  )

const clusterIPsOf = (service: Service | undefined): ReadonlySet<string> =>
  new Set(
    [...(service?.spec?.clusterIPs ?? []), service?.spec?.clusterIP ?? ""]
      .map(canonicalAddress)
      .filter((address) => address !== undefined)
  )

/** At most one address of each family, as we write them: an annotation that somebody wrote himself takes no more. */
const carriedBy = (service: Service | undefined): ReadonlySet<string> => {
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return new Set()
  const first = new Map<string, string>()
  for (const address of allocatedOf(service)) {
    const family = familyOf(address)
    if (!first.has(family)) first.set(family, address)
  }
  return new Set(first.values())
}

const servedElsewhere = (service: Service | undefined): ReadonlySet<string> =>
  new Set(service === undefined ? [] : foreignIngressOf(service))

/**
 * The addresses of nodes, their pods' networks, and what Services have: clusterIPs, what we gave them, and what other
 * controllers did. Kept up to date.
 */
export class ClusterFacts implements AddressFacts {
  readonly forbiddenCidrs: ReadonlyArray<Cidr>
  private readonly listener: FactsListener
  private readonly nodes = new Owners()
  private readonly clusterIPs = new Owners()
  private readonly carriers = new Owners()
  private readonly elsewhere = new Owners()
  private readonly podNetworks = new Networks()

  constructor(options: NetworkOptions, listener: FactsListener) {
    this.forbiddenCidrs = options.forbiddenCidrs ?? []
    this.listener = listener
  }

  /** All networks in which no address may be given out. */
  get networks(): ReadonlyArray<Cidr> {
    return [...unusableNetworks.map(([, cidr]) => cidr), ...this.forbiddenCidrs, ...this.podNetworks.all]
  }

  nodeOf(address: string): string | undefined {
    return this.nodes.of(address)
  }

  podNodeOf(address: string): string | undefined {
    return this.podNetworks.ownerOf(address)
  }

  clusterServiceOf(address: string): string | undefined {
    return this.clusterIPs.of(address)
  }

  /** The Services (`namespace/name`) that carry the address (annotation `allocated`). */
  carriersOf(address: string): ReadonlyArray<string> {
    return this.carriers.all(address)
  }

  /** The Services (`namespace/name`) that show the address in their ingress, where another controller put it. */
  servedElsewhere(address: string): ReadonlyArray<string> {
    return this.elsewhere.all(address)
  }

  /** Every address that some Service carries. */
  carried(): Iterable<string> {
    return this.carriers.addresses()
  }

  applyNode(name: string, before: Node | undefined, after: Node | undefined): void {
    this.nodes.follow(name, addressesOfNode(before), addressesOfNode(after), this.listener)
    const [hadCidrs, hasCidrs] = [podCidrsOfNode(before), podCidrsOfNode(after)]
    const added = [...hasCidrs.values()].filter(({ text }) => !hadCidrs.has(text))
    const removed = [...hadCidrs.values()].filter(({ text }) => !hasCidrs.has(text))
    for (const cidr of added) this.podNetworks.add(cidr, name)
    for (const cidr of removed) this.podNetworks.remove(cidr, name)
    if (added.length + removed.length > 0) this.listener.networksChanged([...added, ...removed])
  }

  applyService(key: string, before: Service | undefined, after: Service | undefined): void {
    this.clusterIPs.follow(key, clusterIPsOf(before), clusterIPsOf(after), this.listener)
    this.carriers.follow(key, carriedBy(before), carriedBy(after), this.listener)
    this.elsewhere.follow(key, servedElsewhere(before), servedElsewhere(after), this.listener)
  }
}
