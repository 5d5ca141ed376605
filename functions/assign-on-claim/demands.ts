import { refKey } from "#runtime"
import { type IpClaim, IpClaimPool, IpNode, Node, Service } from "../domain/kinds.ts"
import { Candidate, LinkNetworks, type Verdict } from "./nodes.ts"
import type { World } from "./world.ts"

const ofCluster = (name: string) => ({ namespace: "", name })
const byName = (one: string, other: string): number => (one < other ? -1 : one > other ? 1 : 0)

/** Which nodes may hold the addresses of claims that are alike: pool, network, link, endpoints and pin. */
export interface Demand {
  /** The nodes that may be given the address, by name. */
  readonly eligible: ReadonlyArray<string>
  readonly isEligible: (node: string) => boolean
  /** `undefined` for a node that is not in the fleet. */
  readonly verdict: (node: string) => Verdict | undefined
  /** The one node that the user allows. */
  readonly pin: string | undefined
  /** The interface that user or pool demand. */
  readonly link: string | undefined
  /** The pool is gone, and with it which interface it demanded. */
  readonly isOrphan: boolean
}

const shownReasons = 5

/** Why none of the nodes may be given the address, node by node. */
export const whyNobody = (demand: Demand, nodes: ReadonlyArray<string>): string => {
  if (nodes.length === 0) return "no node runs extip"
  const { pin } = demand
  if (pin !== undefined && !nodes.includes(pin)) return `extip does not run on ${pin}, which the claim names`
  const reasons = (pin === undefined ? nodes : [pin]).map((node) => `${node} ${demand.verdict(node)?.notNew}`)
  const more = reasons.length - shownReasons
  const shown = reasons.slice(0, shownReasons).join(", ")
  return `no node may be given it: ${shown}${more > 0 ? ` and ${more} more` : ""}`
}

const isOfOneNamespace = ({ spec: { services = [] } }: IpClaim): boolean =>
  services.every(({ namespace }) => namespace === services[0]?.namespace)

/** The demands of claims. Claims that are alike share one, so that each node is judged once for all of them. */
export class Demands {
  private readonly world: World
  private readonly candidates: ReadonlyArray<Candidate>
  private readonly networks: LinkNetworks
  private readonly known = new Map<string, Demand>()

  constructor(world: World) {
    this.world = world
    this.networks = new LinkNetworks(world.fleet.nodes.values())
    this.candidates = [...world.fleet.nodes.values()]
      .map((fleet) => {
        const ref = ofCluster(fleet.name)
        // A node of the fleet need not be one of Kubernetes': a machine without a kubelet serves as well.
        return new Candidate(fleet, world.find(Node, ref), world.find(IpNode, ref))
      })
      .sort((one, other) => byName(one.name, other.name))
  }

  /** Cordoned, as Kubernetes has it: what the node has is handed over when its runtime stops. */
  get cordoned(): ReadonlyArray<readonly [node: string, isCordoned: boolean]> {
    return this.candidates.map(({ name, isCordoned }) => [name, isCordoned])
  }

  get names(): ReadonlyArray<string> {
    return this.candidates.map(({ name }) => name)
  }

  candidate(node: string): Candidate | undefined {
    return this.candidates.find(({ name }) => name === node)
  }

  of(claim: IpClaim, address: string): Demand {
    const { pool: poolName = "", nodeName: pin, link: ownLink } = claim.spec
    // One that was given another name has its addresses still.
    const pool =
      poolName === ""
        ? undefined
        : (this.world.find(IpClaimPool, ofCluster(poolName)) ?? this.world.poolOf(address))
    const link = ownLink ?? pool?.spec.link
    const base = `${pool?.metadata.name ?? poolName} ${link ?? ""} ${this.networks.classOf(address)}`
    const services = this.servicesWithLocalPolicy(claim)
    const isOrphan = poolName !== "" && pool === undefined
    const general = this.remembered(base, () => this.judge(address, pool, link, isOrphan))
    if (services.length === 0 && pin === undefined) return general
    const key = `${base} ${pin ?? ""} ${services.join()}`
    const narrow = this.remembered(key, () => this.narrow(general, services, pin))
    // Without an endpoint anywhere it keeps nobody else's address off all nodes.
    return isOfOneNamespace(claim) || pin !== undefined || narrow.eligible.length > 0 ? narrow : general
  }

  private remembered(key: string, make: () => Demand): Demand {
    const known = this.known.get(key)
    if (known !== undefined) return known
    const made = make()
    this.known.set(key, made)
    return made
  }

  private judge(
    address: string,
    pool: IpClaimPool | undefined,
    link: string | undefined,
    isOrphan: boolean
  ): Demand {
    const verdicts = new Map(
      this.candidates.map((candidate) => [candidate.name, candidate.judge(address, pool, link)])
    )
    const eligible = [...verdicts].filter(([, { notNew }]) => notNew === undefined).map(([name]) => name)
    const set = new Set(eligible)
    return {
      eligible,
      isEligible: (node) => set.has(node),
      verdict: (node) => verdicts.get(node),
      pin: undefined,
      link,
      isOrphan
    }
  }

  /** As the other demand, but for the nodes without endpoints of all of the Services, and those that are not pinned. */
  private narrow(general: Demand, services: ReadonlyArray<string>, pin: string | undefined): Demand {
    const local = services.map((service) => this.world.endpoints.nodesOf(service))
    const why = (node: string): string | undefined => {
      if (pin !== undefined && node !== pin) return `is not ${pin}, which the claim names`
      const missing = local.findIndex((nodes) => !nodes.has(node))
      return missing < 0
        ? undefined
        : `has no ready endpoint of ${services[missing]} (externalTrafficPolicy Local)`
    }
    const fewest = pin === undefined ? [...local[0]!].sort(byName) : [pin]
    const eligible = fewest.filter((node) => general.isEligible(node) && why(node) === undefined)
    return {
      eligible,
      isEligible: (node) => eligible.includes(node),
      verdict: (node) => {
        const verdict = general.verdict(node)
        const more = why(node)
        if (verdict === undefined || more === undefined) return verdict
        const { notKept, notNew, imposed } = verdict
        return { notKept: notKept ?? more, notNew: notKept === undefined ? more : notNew, imposed }
      },
      pin,
      link: general.link,
      isOrphan: general.isOrphan
    }
  }

  /**
   * A Service that was created again under its name is another one, and not the claim's. Where several namespaces list
   * the address by hand, those after the first do not say where it is to be.
   */
  private servicesWithLocalPolicy(claim: IpClaim): ReadonlyArray<string> {
    const local: Array<string> = []
    const entries = claim.spec.services ?? []
    for (const entry of entries.filter(({ namespace }) => namespace === entries[0]?.namespace)) {
      const service = this.world.find(Service, entry)
      if (service?.metadata.uid !== entry.uid || service.spec?.externalTrafficPolicy !== "Local") continue
      local.push(refKey(entry))
    }
    return local.length < 2 ? local : local.sort(byName)
  }
}
