import * as Effect from "effect/Effect"
import { IpClaim, IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import type { Shared } from "./parts.ts"
import type { Program } from "./programs.ts"
import { Stack } from "./stack.ts"
import { until } from "./until.ts"

interface ServiceOptions {
  readonly annotations?: Readonly<Record<string, string>>
  readonly labels?: Readonly<Record<string, string>>
  readonly spec?: object
}

/** Bridge and function host as processes, our CRDs, and a namespace of the file's own. */
export class Ours {
  readonly stack: Stack
  readonly namespace: string
  readonly #pools = new Set<string>()

  private constructor(stack: Stack, namespace: string) {
    this.stack = stack
    this.namespace = namespace
  }

  static async open(
    shared: Shared,
    namespace: string,
    nats?: Parameters<typeof Stack.open>[1]
  ): Promise<Ours> {
    const stack = await Stack.open(shared, nats)
    const ours = new Ours(stack, namespace)
    await stack.cluster.namespace(namespace)
    await stack.cluster.applyCrds()
    await ours.removeAll()
    return ours
  }

  get cluster() {
    return this.stack.cluster
  }

  async start(...args: ReadonlyArray<string>): Promise<{ bridge: Program; host: Program }> {
    const [bridge, host] = await Promise.all([
      this.stack.program("bridge", args),
      this.stack.program("functions", args)
    ])
    await Promise.all([bridge.ready(), host.ready()])
    return { bridge, host }
  }

  /** A pool for this namespace alone, unless it says otherwise. */
  pool(name: string, spec: object) {
    this.#pools.add(name)
    return this.cluster.create(IpClaimPool, {
      metadata: { name },
      spec: { namespaces: [this.namespace], ...spec }
    })
  }

  async removePool(name: string): Promise<void> {
    this.#pools.delete(name)
    await this.cluster.delete(IpClaimPool, { namespace: "", name })
  }

  ref(name: string) {
    return { namespace: this.namespace, name }
  }

  /** A Service with one port; by default it asks for any address. */
  service(name: string, options: ServiceOptions = {}) {
    const { annotations = { "external-ip": "auto" }, labels = {}, spec = {} } = options
    return this.cluster.create(Service, {
      metadata: { ...this.ref(name), annotations, labels },
      spec: { ports: [{ name: "http", port: 80, protocol: "TCP" }], selector: { app: name }, ...spec }
    })
  }

  annotate(name: string, annotations: Readonly<Record<string, string | null>>) {
    return this.cluster.patch(Service, this.ref(name), { metadata: { annotations } })
  }

  removeService(name: string): Promise<void> {
    return this.cluster.delete(Service, this.ref(name))
  }

  /** The addresses that the Service shows, wherever it should. */
  async shown(name: string): Promise<ReadonlyArray<string>> {
    const service = await this.cluster.get(Service, this.ref(name))
    const ingress = service?.status?.loadBalancer?.ingress ?? []
    return service?.spec?.type === "LoadBalancer"
      ? ingress.map(({ ip }: { ip: string }) => ip)
      : (service?.spec?.externalIPs ?? [])
  }

  /** Waits until the Service shows exactly these addresses. */
  async shows(name: string, ...addresses: ReadonlyArray<string>): Promise<void> {
    await until(
      `the Service ${name} to show ${addresses.join(" and ") || "no address"}`,
      async () => (await this.shown(name)).join() === addresses.join(),
      { last: () => this.shown(name) }
    )
  }

  /** Waits until the Service shows some address, and answers with it. */
  given(name: string, seconds = 15): Promise<string> {
    return until(`the Service ${name} to be given an address`, async () => (await this.shown(name))[0], {
      seconds,
      last: () => this.cluster.get(Service, this.ref(name))
    })
  }

  /** Names of the Services that the claim of an address names; `undefined` when there is no claim. */
  async holders(address: string): Promise<ReadonlyArray<string> | undefined> {
    const claim = await this.cluster.get(IpClaim, { namespace: "", name: address.replaceAll(".", "-") })
    return claim?.spec.services?.map(({ name }: { name: string }) => name)
  }

  async unclaimed(address: string): Promise<void> {
    await until(`the claim of ${address} to be gone`, async () => (await this.holders(address)) === undefined)
  }

  /** Waits for a Kubernetes Event on an object of this namespace, and answers with its message. */
  async event(name: string, reason: string): Promise<string> {
    return await until(`an Event ${reason} on ${name}`, async () => {
      const events = await this.cluster.events(name, this.namespace)
      return events.find((event) => event["reason"] === reason)?.["message"] as string | undefined
    })
  }

  /** Takes away what this namespace's tests have made: the control plane is not theirs alone. */
  async removeAll(): Promise<void> {
    await this.cluster.deleteAll(Service, this.namespace)
    for (const pool of this.#pools) {
      await this.cluster.deleteAll(IpClaim, "", { labelSelector: `ip-pool-name=${pool}` })
      await Effect.runPromise(
        Effect.ignore(this.cluster.api.remove(IpClaimPool, { namespace: "", name: pool }, {}))
      )
    }
    this.#pools.clear()
    const isOurs = ({ namespace }: { readonly namespace: string }) => namespace === this.namespace
    for (const { metadata, spec } of await this.cluster.list(IpClaim)) {
      if (!(spec.services ?? []).every(isOurs)) continue
      await Effect.runPromise(
        Effect.ignore(this.cluster.api.remove(IpClaim, { namespace: "", name: metadata.name }, {}))
      )
    }
  }

  async close(): Promise<void> {
    await this.stack.end()
    await this.removeAll()
    await this.stack.close()
  }
}
