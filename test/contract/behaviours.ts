import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { IpClaim, IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import type { KindId, Ref } from "../../runtime/Kind.ts"
import type { KubeApi, RawObject } from "../../runtime/kube/api.ts"

/** One of the two that answer to functions: memory, or a real API server. */
export interface Backend {
  readonly api: KubeApi
  readonly namespace: string
  /** Tells what happens to a kind's objects from now on, until it is asked: `verb name resourceVersion`. */
  readonly follow: (kind: KindId) => Promise<() => Promise<ReadonlyArray<Told>>>
}
export interface Told {
  readonly verb: string
  readonly object: RawObject
}

type Any = RawObject & { readonly spec: any; readonly status?: any; readonly metadata: any }
const manager = "contract"
const apiVersionOf = ({ group, version }: KindId) => (group === "" ? version : `${group}/${version}`)

/** The outcome of a call: the object, or the failure's tag. */
const tell = (effect: Effect.Effect<unknown, { readonly _tag: string }>): Promise<any> =>
  Effect.runPromise(Effect.catch(effect, ({ _tag }) => Effect.succeed(_tag)))

/** What every backend does. Each test has names of its own; what is there of an earlier run is removed. */
export const behaves = (backend: () => Backend): void => {
  const pool = (name: string): Ref => ({ namespace: "", name: `contract-${name}` })
  const service = (name: string): Ref => ({ namespace: backend().namespace, name: `contract-${name}` })
  const clear = async (kind: KindId, ref: Ref) => {
    await tell(backend().api.mergePatch(kind, ref, { metadata: { finalizers: null } }, { manager }))
    await tell(backend().api.remove(kind, ref, {}))
  }
  const create = (
    kind: KindId,
    { namespace, name }: Ref,
    more: { readonly metadata?: object; [field: string]: unknown }
  ) =>
    tell(
      backend().api.create(
        kind,
        namespace,
        {
          apiVersion: apiVersionOf(kind),
          kind: kind.kind,
          ...more,
          metadata: { name, ...(namespace === "" ? {} : { namespace }), ...more.metadata }
        },
        { manager }
      )
    )
  const newPool = async (name: string, more: object = {}): Promise<Any> => {
    await clear(IpClaimPool, pool(name))
    return create(IpClaimPool, pool(name), { spec: { cidr: "10.0.0.0/24" }, ...more })
  }
  const newService = async (name: string, spec: object = {}): Promise<Any> => {
    await clear(Service, service(name))
    return create(Service, service(name), { spec: { ports: [{ port: 80, protocol: "TCP" }], ...spec } })
  }
  const get = (kind: KindId, ref: Ref) => tell(backend().api.get(kind, ref))
  const patch = (kind: KindId, ref: Ref, body: object, subresource: "" | "status" = "") =>
    tell(backend().api.mergePatch(kind, ref, body, { manager, subresource }))
  const remove = (kind: KindId, ref: Ref, preconditions: object = {}) =>
    tell(backend().api.remove(kind, ref, preconditions))
  const condition = (type: string, status = "True") => ({
    type,
    status,
    reason: "Said",
    message: "so",
    lastTransitionTime: "2026-01-01T00:00:00Z"
  })
  const apply = (name: string, by: string, status: object, metadata: object = {}) =>
    tell(
      backend().api.apply(
        IpClaimPool,
        pool(name),
        {
          apiVersion: apiVersionOf(IpClaimPool),
          kind: "IpClaimPool",
          metadata: { name: pool(name).name, ...metadata },
          status
        },
        { manager: by, subresource: "status" }
      )
    )
  const types = ({ status }: Any): ReadonlyArray<string> =>
    (status?.conditions ?? []).map(({ type }: { type: string }) => type).toSorted()

  it("gives a new object uid, version, time and generation, and takes no status with it", async () => {
    const made = await newPool("new", { status: { used: 7 } })
    expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/)
    expect(Number(made.metadata.resourceVersion)).toBeGreaterThan(0)
    expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(made.metadata.generation).toBe(1)
    expect(made.status).toBeUndefined()
    const { apiVersion, kind, spec } = await get(IpClaimPool, pool("new"))
    expect([apiVersion, kind, spec.cidr]).toEqual(["ipcontroller.ext/v1", "IpClaimPool", "10.0.0.0/24"])
  })

  it("gives whatever uid it likes, and not the one of a backup", async () => {
    const uid = "11111111-2222-3333-4444-555555555555"
    const made = await newPool("uid", { metadata: { uid } })
    expect(made.metadata.uid).not.toBe(uid)
  })

  it("lets a name be taken once: AlreadyExists, and the first one is as it was", async () => {
    const made = await newPool("twice")
    expect(await create(IpClaimPool, pool("twice"), { spec: { cidr: "10.1.0.0/24" } })).toBe("AlreadyExists")
    expect((await get(IpClaimPool, pool("twice"))).metadata).toEqual(made.metadata)
  })

  it("makes another object of one that is created again under its name", async () => {
    const old = await newPool("again")
    const young = await newPool("again")
    expect(young.metadata.uid).not.toBe(old.metadata.uid)
    expect(Number(young.metadata.resourceVersion)).toBeGreaterThan(Number(old.metadata.resourceVersion))
    const uid = old.metadata.uid
    expect(await patch(IpClaimPool, pool("again"), { metadata: { uid }, spec: { priority: 1 } })).toBe(
      "Conflict"
    )
    expect(await remove(IpClaimPool, pool("again"), { uid })).toBe("Conflict")
  })

  it("says NotFound of what there is not, whatever is to be done with it", async () => {
    await clear(IpClaimPool, pool("none"))
    const uid = "11111111-2222-3333-4444-555555555555"
    const outcomes = [
      await get(IpClaimPool, pool("none")),
      await patch(IpClaimPool, pool("none"), { spec: { priority: 1 } }),
      await patch(IpClaimPool, pool("none"), { metadata: { uid, resourceVersion: "1" }, spec: {} }),
      await patch(IpClaimPool, pool("none"), { status: { used: 1 } }, "status"),
      await apply("none", "one", { used: 1 }, { uid }),
      await remove(IpClaimPool, pool("none"), { uid })
    ]
    expect(outcomes).toEqual(outcomes.map(() => "NotFound"))
  })

  it("merges a patch: maps field by field, lists whole, null removes", async () => {
    const labels = { a: "1", b: "2" }
    await newPool("merge", {
      metadata: { labels },
      spec: { cidr: "10.0.0.0/24", namespaces: ["x", "y"], priority: 3 }
    })
    const merged = await patch(IpClaimPool, pool("merge"), {
      metadata: { labels: { a: null, c: "3" }, annotations: { absent: null } },
      spec: { namespaces: ["z"], priority: null, link: null }
    })
    expect(merged.metadata.labels).toEqual({ b: "2", c: "3" })
    expect(merged.metadata.annotations).toBeUndefined()
    expect(merged.spec).toMatchObject({ cidr: "10.0.0.0/24", namespaces: ["z"] })
    expect(merged.spec.priority ?? 0).toBe(0)
  })

  it("writes only for the state that a precondition names", async () => {
    const made = await newPool("pre")
    const { uid, resourceVersion } = made.metadata
    const next = await patch(IpClaimPool, pool("pre"), {
      metadata: { uid, resourceVersion },
      spec: { priority: 1 }
    })
    expect(next.spec.priority).toBe(1)
    const late = { metadata: { uid, resourceVersion }, spec: { priority: 2 } }
    expect(await patch(IpClaimPool, pool("pre"), late)).toBe("Conflict")
    expect(
      await patch(IpClaimPool, pool("pre"), { metadata: { uid, resourceVersion }, status: {} }, "status")
    ).toBe("Conflict")
    expect(
      (await patch(IpClaimPool, pool("pre"), { metadata: { uid }, spec: { priority: 4 } })).spec.priority
    ).toBe(4)
  })

  it("keeps the version of an object that a patch leaves as it is, and tells nobody", async () => {
    const made = await newPool("same")
    const told = await backend().follow(IpClaimPool)
    const { uid, resourceVersion } = made.metadata
    const body = { metadata: { uid, resourceVersion }, spec: { cidr: "10.0.0.0/24" } }
    const patched = await patch(IpClaimPool, pool("same"), body)
    expect(patched.metadata.resourceVersion).toBe(resourceVersion)
    await patch(IpClaimPool, pool("same"), { spec: { priority: 9 } })
    const mine = (await told()).filter(({ object }) => object.metadata.name === pool("same").name)
    expect(mine.map(({ verb }) => verb)).toEqual(["modified"])
  })

  it("keeps status and everything else apart", async () => {
    await newPool("apart")
    await patch(IpClaimPool, pool("apart"), { status: { used: 1 }, spec: { priority: 1 } })
    const one: Any = await get(IpClaimPool, pool("apart"))
    expect([one.status, one.spec.priority]).toEqual([undefined, 1])
    await patch(
      IpClaimPool,
      pool("apart"),
      { metadata: { labels: { a: "1" } }, status: { used: 2 }, spec: { priority: 2 } },
      "status"
    )
    const two: Any = await get(IpClaimPool, pool("apart"))
    expect([two.status, two.spec.priority, two.metadata.labels]).toEqual([{ used: 2 }, 1, undefined])
  })

  it("counts generations of the spec alone", async () => {
    await newPool("generation")
    const generations = [
      await patch(IpClaimPool, pool("generation"), { metadata: { labels: { a: "1" } } }),
      await patch(IpClaimPool, pool("generation"), { status: { used: 1 } }, "status"),
      await patch(IpClaimPool, pool("generation"), { spec: { priority: 1 } }),
      await patch(IpClaimPool, pool("generation"), { spec: { priority: 1 } }),
      await patch(IpClaimPool, pool("generation"), { spec: { priority: 2 } })
    ].map(({ metadata }) => metadata.generation)
    expect(generations).toEqual([1, 1, 2, 2, 3])
  })

  it("lets two managers apply conditions side by side, and take back their own", async () => {
    await newPool("apply")
    await apply("apply", "one", { conditions: [condition("Valid")], observedGeneration: 1 })
    const both = await apply("apply", "two", { conditions: [condition("Exhausted")], used: 3 })
    expect(types(both)).toEqual(["Exhausted", "Valid"])
    const changed = await apply("apply", "one", {
      conditions: [condition("Valid", "False")],
      observedGeneration: 2
    })
    expect(types(changed)).toEqual(["Exhausted", "Valid"])
    expect(changed.status).toMatchObject({ used: 3, observedGeneration: 2 })
    const dropped = await apply("apply", "two", { conditions: [] })
    expect(types(dropped)).toEqual(["Valid"])
    expect(dropped.status.used).toBeUndefined()
    expect(dropped.status.conditions[0].status).toBe("False")
  })

  it("replaces a map that is applied as one, and removes one that is no longer applied", async () => {
    await newPool("atomic")
    await apply("atomic", "one", { allocated: { "10.0.0.1": "10-0-0-1", "10.0.0.2": "10-0-0-2" }, used: 2 })
    const fewer = await apply("atomic", "one", { allocated: { "10.0.0.2": "10-0-0-2" }, used: 1 })
    expect(fewer.status.allocated).toEqual({ "10.0.0.2": "10-0-0-2" })
    const none = await apply("atomic", "one", { used: 1 })
    expect(none.status.allocated).toBeUndefined()
  })

  it("keeps the version of an object to which the same is applied again, and refuses another uid", async () => {
    const { uid } = (await newPool("reapply")).metadata
    const first = await apply("reapply", "one", { conditions: [condition("Valid")] }, { uid })
    const second = await apply("reapply", "one", { conditions: [condition("Valid")] }, { uid })
    expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion)
    const other = { uid: "11111111-2222-3333-4444-555555555555" }
    expect(await apply("reapply", "one", { used: 1 }, other)).toBe("Conflict")
  })

  it("deletes only the state that a precondition names, once", async () => {
    const { uid, resourceVersion } = (await newPool("delete")).metadata
    const next = await patch(IpClaimPool, pool("delete"), { spec: { priority: 1 } })
    expect(await remove(IpClaimPool, pool("delete"), { uid, resourceVersion })).toBe("Conflict")
    const precondition = { uid, resourceVersion: next.metadata.resourceVersion }
    expect(await remove(IpClaimPool, pool("delete"), precondition)).toBeUndefined()
    expect(await get(IpClaimPool, pool("delete"))).toBe("NotFound")
    expect(await remove(IpClaimPool, pool("delete"), precondition)).toBe("NotFound")
  })

  it("keeps an object with finalizers until the last one is removed", async () => {
    await newPool("final", { metadata: { finalizers: ["test.example/one"] } })
    await remove(IpClaimPool, pool("final"))
    const deleting: Any = await get(IpClaimPool, pool("final"))
    expect(deleting.metadata.deletionTimestamp).toMatch(/Z$/)
    expect(deleting.metadata.generation).toBe(2)
    await patch(IpClaimPool, pool("final"), { metadata: { finalizers: null } })
    expect(await get(IpClaimPool, pool("final"))).toBe("NotFound")
  })

  it("tells what happened in its order, each state newer than the one before", async () => {
    await clear(IpClaimPool, pool("order"))
    const told = await backend().follow(IpClaimPool)
    await newPool("order")
    await patch(IpClaimPool, pool("order"), { spec: { priority: 1 } })
    await patch(IpClaimPool, pool("order"), { status: { used: 1 } }, "status")
    await remove(IpClaimPool, pool("order"))
    const mine = (await told()).filter(({ object }) => object.metadata.name === pool("order").name)
    expect(mine.map(({ verb }) => verb)).toEqual(["added", "modified", "modified", "deleted"])
    const versions = mine.map(({ object }) => Number(object.metadata.resourceVersion))
    expect(versions).toEqual(versions.toSorted((one, other) => one - other))
    expect(new Set(versions).size).toBe(4)
    expect((mine.at(-1)!.object as Any).status).toEqual({ used: 1 })
  })

  it("takes a claim under its address's name, and its Services as one list", async () => {
    const ref = { namespace: "", name: "10-254-254-9" }
    await clear(IpClaim, ref)
    const entry = (name: string) => ({ namespace: "default", name, uid: "u", origin: "allocated" })
    const spec = { cidr: "10.254.254.9/32", services: [entry("one"), entry("two")] }
    const made = await create(IpClaim, ref, { spec, metadata: { labels: { "ip-pool-name": "lan" } } })
    expect(made.spec.services).toEqual(spec.services)
    const fewer = await patch(IpClaim, ref, { spec: { services: [entry("two")] } })
    expect(fewer.spec.services).toEqual([entry("two")])
    await clear(IpClaim, ref)
  })

  it("publishes an address in a Service's externalIPs and annotation by one patch, and takes both back", async () => {
    const { uid, resourceVersion } = (await newService("web")).metadata
    const allocated = "ipcontroller.ext/allocated"
    const shown = await patch(Service, service("web"), {
      metadata: { uid, resourceVersion, annotations: { [allocated]: "10.0.0.1" } },
      spec: { externalIPs: ["10.0.0.1"] }
    })
    expect([shown.spec.externalIPs, shown.metadata.annotations]).toEqual([
      ["10.0.0.1"],
      { [allocated]: "10.0.0.1" }
    ])
    const hidden = await patch(Service, service("web"), {
      metadata: { uid, annotations: { [allocated]: null } },
      spec: { externalIPs: null }
    })
    expect([hidden.spec.externalIPs, hidden.metadata.annotations]).toEqual([undefined, undefined])
    await clear(Service, service("web"))
  })

  it("publishes an address in a LoadBalancer's status, and nowhere else by that patch", async () => {
    const made = await newService("lb", { type: "LoadBalancer", allocateLoadBalancerNodePorts: false })
    const { uid, resourceVersion } = made.metadata
    const ingress = [{ ip: "10.0.0.1", ipMode: "VIP" }]
    const body = { metadata: { uid, resourceVersion }, status: { loadBalancer: { ingress } } }
    const shown = await patch(Service, service("lb"), body, "status")
    expect(shown.status.loadBalancer.ingress).toEqual(ingress)
    expect(await patch(Service, service("lb"), body, "status")).toBe("Conflict")
    const hidden = await patch(
      Service,
      service("lb"),
      { status: { loadBalancer: { ingress: null } } },
      "status"
    )
    expect(hidden.status.loadBalancer.ingress).toBeUndefined()
    await clear(Service, service("lb"))
  })
}
