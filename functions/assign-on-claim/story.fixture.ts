import * as Effect from "effect/Effect"
import type { FleetLink } from "#runtime"
import { TestCluster, type TestReport, testLink } from "#testkit"
import { claimName, hostCidr } from "../domain/addresses.ts"
import { EndpointSlice, IpClaim, IpClaimPool, IpNode, Namespace, Node, Service } from "../domain/kinds.ts"
import { localEndpointsIndex } from "../domain/local-endpoints-index.ts"
import type { AssignPolicy } from "../domain/settings.ts"
import { type Decision, decide } from "./decide.ts"

const kinds = [EndpointSlice, IpClaim, IpClaimPool, IpNode, Namespace, Node, Service]
const ofCluster = (name: string) => ({ namespace: "", name })
const inDefault = (name: string) => ({ namespace: "default", name })

type Has = Parameters<TestCluster["fleet"]["inventory"]>[1][number]

/** What a node says that it has: `10.0.0.1`, or `10.0.0.1@7` by a placement with term 7. */
export const has = (...entries: ReadonlyArray<string>): ReadonlyArray<Has> =>
  entries.map((entry) => {
    const [address = "", term = "1"] = entry.split("@")
    return { claim: claimName(address), address, term: Number(term) }
  })

/** A cluster and its fleet, in the words of the tests. Claims are named by their addresses. */
export class Story {
  readonly cluster: TestCluster
  now = Date.UTC(2026, 0, 1)
  policy: AssignPolicy

  constructor(policy: AssignPolicy = "fair", cluster = new TestCluster([], { kinds })) {
    this.policy = policy
    this.cluster = cluster
  }

  get fleet() {
    return this.cluster.fleet
  }

  /** Nodes whose runtimes live, and have nothing. */
  join(...names: ReadonlyArray<string>): this {
    for (const name of names) {
      this.fleet.join(name)
      this.fleet.inventory(name, [])
    }
    return this
  }

  /** A node's runtime with these links. */
  links(name: string, ...links: ReadonlyArray<Partial<FleetLink>>): this {
    this.fleet.join(name, links.map(testLink))
    return this
  }

  async node(
    name: string,
    parts: { labels?: object; unschedulable?: boolean; cutOff?: boolean }
  ): Promise<void> {
    const { labels = {}, unschedulable = false, cutOff = false } = parts
    const status = { conditions: [{ type: "NetworkUnavailable", status: cutOff ? "True" : "False" }] }
    await this.apply(Node, ofCluster(name), { metadata: { name, labels }, spec: { unschedulable }, status })
  }

  async ipNode(name: string, spec: IpNode["spec"]): Promise<void> {
    await this.apply(IpNode, ofCluster(name), { metadata: { name }, spec })
  }

  async pool(name: string, spec: Partial<IpClaimPool["spec"]>): Promise<void> {
    await this.apply(IpClaimPool, ofCluster(name), {
      metadata: { name },
      spec: { cidr: "10.0.0.0/16", ...spec }
    })
  }

  /** A Service with this policy; its uid goes into claims. */
  async service(name: string, externalTrafficPolicy: "Local" | "Cluster"): Promise<void> {
    await this.apply(Service, inDefault(name), {
      metadata: { ...inDefault(name) },
      spec: { externalTrafficPolicy }
    })
  }

  /** Where the endpoints of a Service are: node → `ready`, `terminating` or `failed`. */
  async endpoints(
    service: string,
    on: { readonly [node: string]: "ready" | "terminating" | "failed" }
  ): Promise<void> {
    const name = `${service}-abc12`
    const endpoints = Object.entries(on).map(([nodeName, state]) => ({
      nodeName,
      conditions: {
        ready: state === "ready",
        serving: state !== "failed",
        terminating: state === "terminating"
      }
    }))
    const metadata = { ...inDefault(name), labels: { "kubernetes.io/service-name": service } }
    await this.apply(EndpointSlice, inDefault(name), { metadata, endpoints })
  }

  async claim(
    address: string,
    {
      services = [],
      ...spec
    }: Partial<Omit<IpClaim["spec"], "services">> & { services?: ReadonlyArray<string> } = {},
    status: IpClaim["status"] = {}
  ): Promise<string> {
    const entries = services.map((name) => ({
      ...inDefault(name),
      uid: this.cluster.view.find(Service, inDefault(name))?.metadata.uid ?? "",
      origin: "allocated"
    }))
    const name = claimName(address)
    await this.apply(IpClaim, ofCluster(name), {
      metadata: { name },
      spec: { cidr: hostCidr(address), services: entries, ...spec },
      status
    })
    return name
  }

  async claims(...addresses: ReadonlyArray<string>): Promise<void> {
    for (const address of addresses) await this.claim(address)
  }

  async drop(address: string): Promise<void> {
    await Effect.runPromise(this.cluster.delete(IpClaim, ofCluster(claimName(address))))
  }

  /** The node says what became of an address; by the placement as it is, unless another term is named. */
  says(node: string, what: TestReport["what"], address: string, more: Partial<TestReport> = {}): this {
    this.fleet.report({ node, what, address, claim: claimName(address), at: this.now, ...more })
    return this
  }

  /** What would be done about these addresses. */
  ask(...addresses: ReadonlyArray<string>): Decision {
    return this.decide(addresses)
  }

  /** Decides about these addresses, and does it. */
  async assign(...addresses: ReadonlyArray<string>): Promise<Decision> {
    const decision = this.decide(addresses)
    await this.carryOut(decision)
    return decision
  }

  decide(addresses: ReadonlyArray<string>, gone: ReadonlyArray<string> = []): Decision {
    const { view, fleetView: fleet } = this.cluster
    const world = {
      find: view.find.bind(view),
      poolOf: () => undefined,
      endpoints: view.index(localEndpointsIndex),
      fleet,
      policy: this.policy,
      conflictRetryMillis: 60_000,
      now: this.now
    }
    return decide(world, addresses.map(claimName), new Set(gone.map(claimName)))
  }

  async carryOut({ places, complete }: Decision): Promise<void> {
    const access = this.fleet.access(this.cluster.fleetView)
    await Effect.runPromise(access.place(places, () => ""))
    for (const { node, inventory } of complete) await Effect.runPromise(access.complete(node, inventory))
  }

  /** `n1`, `n1, then n2`, or `nowhere`. */
  where(address: string): string {
    const placement = this.fleet.placements.get(claimName(address))
    if (placement?.holder === undefined) return "nowhere"
    const { holder, standby } = placement
    return standby === undefined ? holder : `${holder}, then ${standby}`
  }

  holder(address: string): string | undefined {
    return this.fleet.placements.get(claimName(address))?.holder
  }

  /** Node → how many addresses it has. */
  get counts(): { readonly [node: string]: number } {
    const counts: { [node: string]: number } = {}
    for (const { holder } of this.fleet.placements.values()) {
      if (holder !== undefined) counts[holder] = (counts[holder] ?? 0) + 1
    }
    return counts
  }

  private async apply(kind: any, ref: { namespace: string; name: string }, object: object): Promise<void> {
    const { cluster } = this
    if (cluster.now(kind, ref) === undefined) await Effect.runPromise(cluster.create(kind, object))
    else {
      const { metadata: _, status, ...rest } = object as { metadata: object; status?: object }
      await Effect.runPromise(cluster.patch(kind, ref, { ...object, ...rest }))
      if (status !== undefined) {
        await Effect.runPromise(cluster.api.mergePatch(kind, ref, { status }, { subresource: "status" }))
      }
    }
  }
}
