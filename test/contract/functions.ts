import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { IpClaimPool } from "../../functions/domain/kinds.ts"
import { FunctionKube } from "../../runtime/host/functionKube.ts"
import { WorldView } from "../../runtime/host/worldView.ts"
import { create, patch, patchStatus, read, remove } from "../../runtime/Needs.ts"
import type { SpanWrite } from "../../runtime/trace/span.ts"
import type { Backend } from "./backend.ts"

/** What `Kube`, as a function has it, makes of either backend. */
export const servesFunctions = (backend: () => Backend): void => {
  const all = [
    read(IpClaimPool),
    create(IpClaimPool),
    patch(IpClaimPool),
    patchStatus(IpClaimPool),
    remove(IpClaimPool)
  ]
  const pool = (name: string) => ({ namespace: "", name: `contract-kube-${name}` })
  const spec = { cidr: "10.0.0.0/24" }

  /** A function of its own, with a view of its own. */
  const functionOf = (name: string, needs = all) => {
    const view = new WorldView([IpClaimPool])
    const writes: Array<SpanWrite> = []
    const kube = new FunctionKube({
      api: backend().api,
      view,
      fn: { name, needs: needs.flat() },
      note: () => undefined,
      wake: async () => undefined,
      traceparent: () => "",
      log: { writes, wrote: () => undefined }
    })
    return { kube, view, writes }
  }
  const tell = (effect: Effect.Effect<any, { readonly _tag: string }>): Promise<any> =>
    Effect.runPromise(Effect.catch(effect, ({ _tag }) => Effect.succeed(_tag)))
  const clear = async (name: string) => {
    await tell(backend().api.remove(IpClaimPool, pool(name), {}))
  }
  const made = async (name: string) => {
    await clear(name)
    const one = functionOf("one")
    const object = await Effect.runPromise(one.kube.create(IpClaimPool, { metadata: pool(name), spec }))
    return {
      ...one,
      object,
      at: { uid: object.metadata.uid, resourceVersion: object.metadata.resourceVersion }
    }
  }
  const condition = (type: string) => ({
    type,
    status: "True",
    reason: "Said",
    message: "so",
    lastTransitionTime: "2026-01-01T00:00:00Z"
  })

  it("has what a function wrote in its view at once, in the shape of its kind", async () => {
    const { kube, object, at, writes } = await made("wrote")
    expect(kube.find(IpClaimPool, pool("wrote"))).toEqual(object)
    await Effect.runPromise(kube.patch(IpClaimPool, pool("wrote"), at, { spec: { priority: 3 } }))
    expect(kube.find(IpClaimPool, pool("wrote"))?.spec.priority).toBe(3)
    const { uid } = object.metadata
    await Effect.runPromise(kube.remove(IpClaimPool, pool("wrote"), { uid }))
    expect(kube.find(IpClaimPool, pool("wrote"))).toBeUndefined()
    expect(writes.map(({ verb }) => verb)).toEqual(["create", "patch", "delete"])
  })

  it("shows who lost a name or a version what the other made of it", async () => {
    const { at } = await made("lost")
    const two = functionOf("two")
    expect(await tell(two.kube.create(IpClaimPool, { metadata: pool("lost"), spec }))).toBe("AlreadyExists")
    expect(two.kube.find(IpClaimPool, pool("lost"))?.metadata.uid).toBe(at.uid)
    await Effect.runPromise(two.kube.patch(IpClaimPool, pool("lost"), at, { spec: { priority: 5 } }))
    const three = functionOf("three")
    expect(await tell(three.kube.patch(IpClaimPool, pool("lost"), at, { spec: { priority: 6 } }))).toBe(
      "Conflict"
    )
    expect(three.kube.find(IpClaimPool, pool("lost"))?.spec.priority).toBe(5)
    expect(three.writes).toMatchObject([{ verb: "patch", failure: "Conflict" }])
    expect(await tell(three.kube.remove(IpClaimPool, pool("lost"), at))).toBe("Conflict")
  })

  it("reads fresh what is there, and takes out of the view what is not", async () => {
    const { kube, object } = await made("fresh")
    const other = functionOf("other")
    expect(await tell(other.kube.get(IpClaimPool, pool("fresh")))).toEqual(object)
    await clear("fresh")
    expect(kube.find(IpClaimPool, pool("fresh"))).toBeDefined()
    expect(await tell(kube.get(IpClaimPool, pool("fresh")))).toBeUndefined()
    expect(kube.find(IpClaimPool, pool("fresh"))).toBeUndefined()
  })

  it("deletes what is gone already without a failure", async () => {
    const { kube, at } = await made("twice")
    await clear("twice")
    expect(await tell(kube.remove(IpClaimPool, pool("twice"), at))).toBeUndefined()
  })

  it("still shows what finalizers keep, until the last one is removed", async () => {
    const { kube, at, view, writes } = await made("kept")
    const { uid } = at
    const finalizers = ["test.example/one"]
    await Effect.runPromise(kube.patch(IpClaimPool, pool("kept"), at, { metadata: { finalizers } }))
    await Effect.runPromise(kube.remove(IpClaimPool, pool("kept"), { uid }))
    const { metadata } = kube.find(IpClaimPool, pool("kept"))!
    expect([metadata.finalizers, metadata.deletionTimestamp]).toEqual([
      finalizers,
      expect.stringMatching(/Z$/)
    ])
    expect(writes.at(-1)).toMatchObject({ verb: "delete", resourceVersion: metadata.resourceVersion })
    // What changes it meanwhile is seen.
    const labels = { a: "1" }
    view.applyWrite(
      IpClaimPool,
      await tell(
        backend().api.mergePatch(IpClaimPool, pool("kept"), { metadata: { labels } }, { manager: "user" })
      )
    )
    expect(kube.find(IpClaimPool, pool("kept"))?.metadata.labels).toEqual(labels)
    await Effect.runPromise(
      kube.patch(IpClaimPool, pool("kept"), { uid }, { metadata: { finalizers: null } })
    )
    expect(await tell(kube.get(IpClaimPool, pool("kept")))).toBeUndefined()
  })

  it("fails with Conflict for an object that was created again, whatever is written to it", async () => {
    const { kube, at } = await made("again")
    await made("again")
    const { uid } = at
    expect(await tell(kube.patch(IpClaimPool, pool("again"), { uid }, { spec: { priority: 1 } }))).toBe(
      "Conflict"
    )
    expect(await tell(kube.patchStatus(IpClaimPool, pool("again"), { uid }, { used: 1 }))).toBe("Conflict")
    expect(await tell(kube.applyStatus(IpClaimPool, pool("again"), { uid }, { used: 1 }))).toBe("Conflict")
    expect(await tell(kube.remove(IpClaimPool, pool("again"), { uid }))).toBe("Conflict")
    expect(kube.find(IpClaimPool, pool("again"))?.metadata.uid).not.toBe(uid)
  })

  it("lets two functions keep conditions of their own in one status", async () => {
    const { kube, at } = await made("conditions")
    const two = functionOf("two")
    const { uid } = at
    await Effect.runPromise(
      kube.applyStatus(IpClaimPool, pool("conditions"), { uid }, { conditions: [condition("Valid")] })
    )
    const both = await Effect.runPromise(
      two.kube.applyStatus(
        IpClaimPool,
        pool("conditions"),
        { uid },
        { used: 0, conditions: [condition("Exhausted")] }
      )
    )
    expect(both.status?.conditions?.map(({ type }) => type).toSorted()).toEqual(["Exhausted", "Valid"])
  })

  it("sends nothing that a function has not declared", async () => {
    const { at } = await made("undeclared")
    const { kube, writes } = functionOf("reader", [read(IpClaimPool), patchStatus(IpClaimPool)])
    const attempts = [
      kube.create(IpClaimPool, { metadata: pool("other"), spec }),
      kube.patch(IpClaimPool, pool("undeclared"), at, { spec: { priority: 1 } }),
      kube.remove(IpClaimPool, pool("undeclared"), at)
    ]
    for (const attempt of attempts)
      await expect(Effect.runPromise(attempt as Effect.Effect<any>)).rejects.toThrow("needs")
    expect(writes).toEqual([])
    const { resourceVersion } = (await Effect.runPromise(kube.get(IpClaimPool, pool("undeclared"))))!.metadata
    expect(resourceVersion).toBe(at.resourceVersion)
  })
}
