import { type FleetLink, type FleetNode, fittingLink } from "#runtime"
import { familyOf, numberOf } from "../domain/addresses.ts"
import type { IpClaimPool, IpNode, Node } from "../domain/kinds.ts"
import { matchesSelector } from "../domain/selectors.ts"

const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

/** A node, as far as one claim or all of a kind are concerned. Reasons are ends of sentences that begin with the node. */
export interface Verdict {
  /** Why it may not be given the address. */
  readonly notNew: string | undefined
  /** Why it may not keep it either. */
  readonly notKept: string | undefined
  /** The interface that the node must be told, because by itself it would choose one that it may not use. */
  readonly imposed: string | undefined
}

/** A node, with what holds for every address. */
export class Candidate {
  readonly name: string
  readonly isAlive: boolean
  readonly isCordoned: boolean
  private readonly fleet: FleetNode
  private readonly kubernetes: Node | undefined
  private readonly ipNode: IpNode | undefined
  private readonly excluded: string | undefined

  constructor(fleet: FleetNode, kubernetes: Node | undefined, ipNode: IpNode | undefined) {
    this.name = fleet.name
    this.fleet = fleet
    this.kubernetes = kubernetes
    this.ipNode = ipNode
    // One that was only heard of, because something is placed there, has no links yet.
    this.isAlive = fleet.state === "alive" && fleet.links.length > 0
    this.isCordoned = kubernetes?.spec?.unschedulable === true
    this.excluded = this.whyExcluded()
  }

  /** What this node is to addresses of one network and pool. */
  judge(address: string, pool: IpClaimPool | undefined, pin: string | undefined): Verdict {
    const natural = fittingLink(this.fleet.links, address, pin)
    const allowed = this.linkFor(address, pin)
    const notKept =
      this.excluded ??
      this.whyNotSelected(pool) ??
      (allowed === undefined
        ? `has no link for ${pin === undefined ? address : `it named ${pin}`}`
        : undefined)
    const notAlive = this.isAlive ? undefined : "is lost"
    return {
      notKept,
      notNew: notAlive ?? notKept ?? (this.isCordoned ? "is cordoned" : undefined),
      imposed: allowed?.name === natural?.name ? undefined : allowed?.name
    }
  }

  /** The interface for the address among those that the node may use. */
  linkFor(address: string, pin: string | undefined): FleetLink | undefined {
    const { links } = this.ipNode?.spec ?? {}
    const usable = this.fleet.links
    return fittingLink(
      links === undefined ? usable : usable.filter(({ name }) => links.includes(name)),
      address,
      pin
    )
  }

  private whyExcluded(): string | undefined {
    const { labels = {} } = this.kubernetes?.metadata ?? {}
    if (labels[excludeLabel] !== undefined) return `has the label ${excludeLabel}`
    if (this.ipNode?.spec?.unschedulable === true) return "is unschedulable by its IpNode"
    const isCutOff = this.kubernetes?.status?.conditions?.some(
      ({ type, status }) => type === "NetworkUnavailable" && status === "True"
    )
    return isCutOff ? "has no pod network (NetworkUnavailable)" : undefined
  }

  /** A machine without a kubelet has no labels: pools that select nodes by them do not match it. */
  private whyNotSelected(pool: IpClaimPool | undefined): string | undefined {
    const selector = pool?.spec.nodeSelector
    if (selector === undefined) return undefined
    if (this.kubernetes === undefined)
      return `is no Kubernetes Node, and pool ${pool?.metadata.name} selects by labels`
    return matchesSelector(selector, this.kubernetes.metadata.labels ?? {})
      ? undefined
      : `does not match the nodeSelector of pool ${pool?.metadata.name}`
  }
}

/** The networks that the nodes' links are in: two addresses that lie in the same of them have the same links. */
export class LinkNetworks {
  /** Family and length of a prefix → numbers of the networks of that length */
  private readonly networks = new Map<string, Set<number | bigint>>()

  constructor(nodes: Iterable<FleetNode>) {
    const seen = new Set<string>()
    for (const { links } of nodes) {
      for (const { subnets } of links) {
        for (const subnet of subnets) {
          if (seen.has(subnet)) continue
          seen.add(subnet)
          const [address = "", prefix = ""] = subnet.split("/")
          const length = `${familyOf(address)} ${prefix}`
          this.networks.set(
            length,
            (this.networks.get(length) ?? new Set()).add(networkOf(address, Number(prefix)))
          )
        }
      }
    }
  }

  /** Equal for addresses that lie in the same of these networks. */
  classOf(address: string): string {
    const family = familyOf(address)
    let key: string = family
    for (const [length, numbers] of this.networks) {
      if (!length.startsWith(family)) continue
      const prefix = Number(length.slice(5))
      const number = networkOf(address, prefix)
      if (numbers.has(number)) key += ` ${number}/${prefix}`
    }
    return key
  }
}

const networkOf = (address: string, prefix: number): number | bigint => {
  const number = numberOf(address)
  return typeof number === "number" ? Math.floor(number / 2 ** (32 - prefix)) : number >> BigInt(128 - prefix)
}
