import { expect, it } from "@effect/vitest"
import { IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import { type Any, type Backend, benchOf, Paint } from "./backend.ts"

/** What every backend does with `status`, versions and generations, and what it tells of them. */
export const keepsStatus = (backend: () => Backend): void => {
  const { pool, service, clear, create, newPool, newService, get, patch, remove, condition, apply, types } =
    benchOf(backend)

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

  it("lets an ingress be a LoadBalancer's alone, and drops it when the Service becomes another one", async () => {
    const ingress = { loadBalancer: { ingress: [{ ip: "10.0.0.1", ipMode: "VIP" }] } }
    const ref = service("balanced")
    await newService("balanced")
    expect(await patch(Service, ref, { status: ingress }, "status")).toBe("Invalid")
    await patch(Service, ref, { spec: { type: "LoadBalancer" } })
    const balanced: Any = await patch(Service, ref, { status: ingress }, "status")
    expect(balanced.status).toEqual(ingress)
    const plain: Any = await patch(Service, ref, { spec: { type: "ClusterIP" } })
    expect(plain.status?.loadBalancer ?? {}).toEqual({})
    await remove(Service, ref)
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

  it("counts generations of whatever is neither metadata nor status of a custom resource", async () => {
    const ref = service("paint")
    await clear(Paint, ref)
    await create(Paint, ref, { colour: "red" })
    const generations = [
      await patch(Paint, ref, { metadata: { annotations: { a: "1" } } }),
      await patch(Paint, ref, { colour: "blue" }),
      await patch(Paint, ref, { status: { dry: true } }, "status"),
      await patch(Paint, ref, { more: { of: ["it"] } })
    ].map(({ metadata }) => metadata.generation)
    expect(generations).toEqual([1, 2, 2, 3])
    await clear(Paint, ref)
  })

  const selector = { matchLabels: { a: "1" } }
  const template = { metadata: { labels: { a: "1" } }, spec: { containers: [{ name: "a", image: "a" }] } }
  it.each([
    ["", "v1", "ConfigMap", "configmaps", {}, { data: { a: "1" } }, undefined],
    [
      "apps",
      "v1",
      "Deployment",
      "deployments",
      { spec: { selector, template } },
      { spec: { paused: true } },
      2
    ],
    ["coordination.k8s.io", "v1", "Lease", "leases", {}, { spec: { holderIdentity: "a" } }, undefined],
    [
      "discovery.k8s.io",
      "v1",
      "EndpointSlice",
      "endpointslices",
      { addressType: "IPv4", endpoints: [] },
      { endpoints: [{ addresses: ["10.0.0.1"] }] },
      2
    ],
    [
      "networking.k8s.io",
      "v1",
      "NetworkPolicy",
      "networkpolicies",
      { spec: {} },
      { spec: { podSelector: selector } },
      2
    ],
    [
      "policy",
      "v1",
      "PodDisruptionBudget",
      "poddisruptionbudgets",
      { spec: { selector } },
      { spec: { maxUnavailable: 2 } },
      2
    ],
    ["rbac.authorization.k8s.io", "v1", "Role", "roles", { rules: [] }, { rules: null }, undefined]
  ])("has in group %j, version %s, of %s the generations that there are", async (...row) => {
    const [group, version, kind, plural, body, change, generation] = row
    const id = { group, version, kind, plural, namespaced: true }
    await clear(id, service("counted"))
    const made = await create(id, service("counted"), body)
    expect(made.metadata.generation).toBe(generation === undefined ? undefined : 1)
    const changed = await patch(id, service("counted"), change)
    expect(changed.metadata.generation).toBe(generation)
    await clear(id, service("counted"))
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
