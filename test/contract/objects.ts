import { expect, it } from "@effect/vitest"
import { IpClaim, IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import { type Any, type Backend, benchOf } from "./backend.ts"

/** What every backend does with objects. */
export const keepsObjects = (backend: () => Backend): void => {
  const { pool, service, clear, create, newPool, newService, get, patch, remove, apply } = benchOf(backend)

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
    const left: Any = await remove(IpClaimPool, pool("final"))
    const deleting: Any = await get(IpClaimPool, pool("final"))
    expect(left.metadata).toEqual(deleting.metadata)
    expect(await remove(IpClaimPool, pool("final"))).toEqual(left)
    expect(deleting.metadata.deletionTimestamp).toMatch(/Z$/)
    expect(deleting.metadata.deletionGracePeriodSeconds).toBe(0)
    expect(deleting.metadata.generation).toBe(2)
    await patch(IpClaimPool, pool("final"), { metadata: { finalizers: null } })
    expect(await get(IpClaimPool, pool("final"))).toBe("NotFound")
    const none = await newPool("final", { metadata: { finalizers: [] } })
    expect(none.metadata.finalizers).toBeUndefined()
    expect(await remove(IpClaimPool, pool("final"))).toBeUndefined()
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
}
