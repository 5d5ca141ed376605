import * as Effect from "effect/Effect"
import type { FunctionDefinition, KubeFailure } from "#runtime"
import { MemoryApi, TestCluster, type TestClusterOptions, testLink } from "#testkit"
import { claimName } from "../../functions/domain/addresses.ts"
import { addressOfClaim } from "../../functions/domain/holding.ts"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "../../functions/domain/kinds.ts"
import type { ServiceParts } from "../../functions/domain/objects.fixture.ts"
import { defaultSettings, type Settings } from "../../functions/domain/settings.ts"
import { functions } from "../../functions/index.ts"

/** Everything that the controller does, as an administrator has it who sets nothing. */
export const all = functions(defaultSettings)

/** The same for one who sets something. */
export const allWith = (settings: Partial<Settings>) => functions({ ...defaultSettings, ...settings })

/** Some of the functions, by name. */
export const only = (...names: ReadonlyArray<string>) => all.filter(({ name }) => names.includes(name))

const kinds = [Service, IpClaimPool, IpClaim, Namespace, Node]
const refFrom = (path: string) => {
  const [first, second] = path.split("/")
  return second === undefined ? { namespace: "default", name: first! } : { namespace: first!, name: second }
}
const cluster = (name: string) => ({ namespace: "", name })

const born = Date.UTC(2026, 0, 1)

/** A store whose clock goes on by a second with each object, so that what is created later is younger. */
export const newStore = (): MemoryApi => {
  let seconds = 0
  return new MemoryApi(() => born + 1000 * seconds++)
}

/** A test cluster, in the words of its tests. Services are named `namespace/name`; without a namespace, `default`. */
export class World {
  readonly cluster: TestCluster

  constructor(hosted: ReadonlyArray<FunctionDefinition<any>> = all, options: TestClusterOptions = {}) {
    this.cluster = new TestCluster(hosted, { kinds, ...options, api: options.api ?? newStore() })
  }

  /** A second host on the same store. */
  another(
    others: ReadonlyArray<FunctionDefinition<any>> = all,
    options: Omit<TestClusterOptions, "api"> = {}
  ): World {
    return new World(others, { fleet: this.cluster.fleet, ...options, api: this.cluster.api })
  }

  pool(name: string, spec: IpClaimPool["spec"]): Promise<IpClaimPool> {
    return run(this.cluster.create(IpClaimPool, { metadata: { name }, spec }))
  }

  editPool(name: string, spec: object): Promise<IpClaimPool> {
    return run(this.cluster.patch(IpClaimPool, cluster(name), { spec }))
  }

  deletePool(name: string): Promise<void> {
    return run(this.cluster.delete(IpClaimPool, cluster(name)))
  }

  poolNow(name: string): IpClaimPool {
    const found = this.cluster.now(IpClaimPool, cluster(name))
    if (found === undefined) throw new Error(`there is no pool ${name}`)
    return found
  }

  service(path: string, parts: ServiceParts = {}): Promise<Service> {
    const { namespace, name } = refFrom(path)
    const { labels, annotations, ingress, spec } = parts
    return run(
      this.cluster.create(Service, {
        metadata: { namespace, name, ...(labels && { labels }), ...(annotations && { annotations }) },
        spec: {
          type: "ClusterIP",
          ipFamilies: ["IPv4"],
          ipFamilyPolicy: "SingleStack",
          ports: [{ port: 80, protocol: "TCP" }],
          ...spec
        },
        ...(ingress && { status: { loadBalancer: { ingress } } })
      })
    )
  }

  /** A Service with the annotation `external-ip`. */
  asking(path: string, what = "auto", parts: ServiceParts = {}): Promise<Service> {
    return this.service(path, { ...parts, annotations: { "external-ip": what, ...parts.annotations } })
  }

  edit(path: string, patch: object): Promise<Service> {
    return run(this.cluster.patch(Service, refFrom(path), patch))
  }

  annotate(path: string, annotations: { readonly [name: string]: string | null }): Promise<Service> {
    return this.edit(path, { metadata: { annotations } })
  }

  /** Another controller writes the Service's ingress. */
  async writeIngress(path: string, ingress: ServiceParts["ingress"]): Promise<void> {
    const status = { loadBalancer: { ingress } }
    await run(this.cluster.api.mergePatch(Service, refFrom(path), { status }, { subresource: "status" }))
  }

  /** A node reports that it has the address. */
  async bound(address: string): Promise<void> {
    this.cluster.fleet.join("n1", [testLink()])
    await this.settle()
    this.cluster.fleet.report({ node: "n1", claim: claimName(address), address, what: "bound" })
    await this.settle()
  }

  deleteService(path: string): Promise<void> {
    return run(this.cluster.delete(Service, refFrom(path)))
  }

  settle(concurrency = 1): Promise<void> {
    return Effect.runPromise(this.cluster.settle(concurrency))
  }

  /** Runs the sweep, and what it wakes: soon after everything was created, so that nobody's reminder is due. */
  sweep(): Promise<void> {
    this.cluster.tick(born + 60_000)
    return this.settle()
  }

  /** A host that starts: it is woken for everything there is. */
  start(): Promise<void> {
    this.cluster.wakeAll()
    return this.settle()
  }

  now(path: string): Service {
    const found = this.cluster.now(Service, refFrom(path))
    if (found === undefined) throw new Error(`there is no Service ${path}`)
    return found
  }

  externalIPs(path: string): ReadonlyArray<string> | undefined {
    return this.now(path).spec?.externalIPs
  }

  ingress(path: string): ReadonlyArray<string> {
    return (this.now(path).status?.loadBalancer?.ingress ?? []).map(({ ip = "" }) => ip)
  }

  /** What the Service carries: its annotation `ipcontroller.ext/allocated`. */
  carries(path: string): string | undefined {
    return this.now(path).metadata.annotations?.["ipcontroller.ext/allocated"]
  }

  claim(address: string): IpClaim {
    const found = this.cluster.all(IpClaim).find((claim) => addressOfClaim(claim) === address)
    if (found === undefined) throw new Error(`nobody holds ${address}`)
    return found
  }

  /** Address → the Services that its claim names, as `namespace/name`. */
  get held(): { readonly [address: string]: ReadonlyArray<string> } {
    return Object.fromEntries(
      this.cluster
        .all(IpClaim)
        .map((claim) => [
          addressOfClaim(claim),
          (claim.spec.services ?? []).map(({ namespace, name }) => `${namespace}/${name}`)
        ])
    )
  }

  /** `Reason: message` of every Kubernetes Event, in order; with an object (`services/default/web`) only its own. */
  events(object?: string): ReadonlyArray<string> {
    return this.cluster.notes
      .filter((note) => object === undefined || note.object === object)
      .map(({ reason, message }) => `${reason}: ${message}`)
  }

  /** How the runs of a function ended, in order, but for those whose guard said no. */
  ended(name: string): ReadonlyArray<string> {
    return this.cluster.runs
      .filter(({ function: fn, ended }) => fn === name && ended._tag !== "GuardSaidNo")
      .map(({ ended }) => ended._tag)
  }

  /** The causes of all runs that did not end well. */
  get troubles(): ReadonlyArray<string> {
    return this.cluster.runs.flatMap(({ ended }) => ("cause" in ended ? [ended.cause] : []))
  }

  /** The state of all objects: equal when nothing was written in between. */
  get state(): string {
    return JSON.stringify(kinds.map((kind) => this.cluster.api.list(kind)))
  }
}

export const run = <A>(effect: Effect.Effect<A, KubeFailure>): Promise<A> => Effect.runPromise(effect)
