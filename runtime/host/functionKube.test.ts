import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defineFunction } from "../Function.ts"
import { Kube } from "../Kube.ts"
import { create, patch, readFresh, remove } from "../Needs.ts"
import { bench, needs } from "./run.fixture.ts"
import { at, Thing } from "./thing.fixture.ts"

describe("a handler's writes", () => {
  const patched = (colour: string, declared: ReadonlyArray<ReadonlyArray<any>>) =>
    defineFunction({
      name: "paint-on-change",
      on: [Thing.changed],
      needs: declared as typeof needs,
      handle: Effect.fnUntraced(function* (thing: Thing) {
        const kube = yield* Kube
        const { uid, resourceVersion } = thing.metadata
        yield* kube.patch(Thing, at("a"), { uid, resourceVersion }, { spec: { colour } })
        return `painted ${kube.find(Thing, at("a"))?.spec.colour}`
      })
    })

  it("are in the view at once, and in the trace", async () => {
    const { run, spans } = await bench()
    expect(await run(patched("blue", [...needs, patch(Thing)]))).toEqual({
      _tag: "Done",
      decision: "painted blue"
    })
    expect(spans).toMatchObject([
      { writes: [{ object: "things.test.example/default/a", verb: "patch", resourceVersion: "2" }] }
    ])
  })

  it("that change nothing are not put down as what made the state that there was", async () => {
    const { run, spans, caused } = await bench()
    await run(patched("red", [...needs, patch(Thing)]))
    expect(spans).toMatchObject([{ writes: [{ verb: "patch", resourceVersion: "1", unchanged: true }] }])
    expect(caused).toEqual([])
    await run(patched("blue", [...needs, patch(Thing)]))
    expect(spans[1]!.writes).toMatchObject([{ verb: "patch", resourceVersion: "2" }])
    expect(spans[1]!.writes[0]).not.toHaveProperty("unchanged")
    expect(caused).toEqual(["2"])
  })

  it("that delete what is being deleted already are put down as nothing either", async () => {
    const { run, api, view, spans, caused } = await bench()
    const finalizers = ["test.example/kept"]
    view.applyWrite(
      Thing,
      await Effect.runPromise(api.mergePatch(Thing, at("a"), { metadata: { finalizers } }))
    )
    const removing = defineFunction({
      name: "drop-on-change",
      on: [Thing.changed],
      needs: [...needs, remove(Thing)],
      handle: Effect.fnUntraced(function* ({ metadata: { uid } }: Thing) {
        const kube = yield* Kube
        yield* kube.remove(Thing, at("a"), { uid })
        yield* kube.remove(Thing, at("a"), { uid })
      })
    })
    await run(removing)
    expect(spans[0]!.writes.map(({ resourceVersion, unchanged }) => [resourceVersion, unchanged])).toEqual([
      ["3", undefined],
      ["3", true]
    ])
    expect(caused).toEqual(["3"])
  })

  it("are refused before the network when they are not among its needs", async () => {
    const { run, api } = await bench()
    const before = JSON.stringify(api.list(Thing))
    const ended = await run(patched("blue", [...needs, create(Thing)]))
    expect(ended).toMatchObject({
      _tag: "Again",
      cause: expect.stringContaining(
        'function "paint-on-change" tried to patch things.test.example, which is not in its "needs"'
      )
    })
    expect(JSON.stringify(api.list(Thing))).toBe(before)
  })

  it("that lose leave what won in the view, so that the next attempt decides on it", async () => {
    const { run, api, view, spans } = await bench()
    await Effect.runPromise(api.mergePatch(Thing, at("a"), { spec: { colour: "white" } }))
    const fn = patched("blue", [...needs, patch(Thing)])
    expect(await run(fn)).toMatchObject({
      _tag: "Again",
      cause: expect.stringContaining("it changed meanwhile")
    })
    expect(view.find(Thing, at("a"))?.spec.colour).toBe("white")
    expect(spans).toMatchObject([{ outcome: "retry", writes: [{ failure: "Conflict" }] }])
    expect(await run(fn, { attempt: 2 })).toEqual({ _tag: "Done", decision: "painted blue" })
  })

  it("that find nothing to delete are no failure", async () => {
    const { run, view } = await bench()
    const removing = defineFunction({
      name: "drop-on-change",
      on: [Thing.changed],
      needs: [...needs, remove(Thing)],
      handle: Effect.fnUntraced(function* (thing: Thing) {
        const kube = yield* Kube
        yield* kube.remove(Thing, at("a"), { uid: thing.metadata.uid })
        yield* kube.remove(Thing, at("a"), { uid: thing.metadata.uid })
        return "gone"
      })
    })
    expect(await run(removing)).toEqual({ _tag: "Done", decision: "gone" })
    expect(view.find(Thing, at("a"))).toBeUndefined()
  })

  it("to what is gone take it out of the view", async () => {
    const { run, api, view } = await bench()
    await Effect.runPromise(api.remove(Thing, at("a")))
    const ended = await run(patched("blue", [...needs, patch(Thing)]))
    expect(ended).toMatchObject({ _tag: "Again", cause: expect.stringContaining("there is no such object") })
    expect(view.find(Thing, at("a"))).toBeUndefined()
  })

  it("leave in the view what was created again while the answer that it is gone was on its way", async () => {
    const { run, api, view } = await bench()
    await Effect.runPromise(api.remove(Thing, at("a")))
    const get = api.get.bind(api)
    const again = api.create(Thing, "default", {
      metadata: { namespace: "default", name: "a" },
      spec: { colour: "white" }
    })
    api.get = (kind, ref) =>
      get(kind, ref).pipe(
        Effect.tapError(() =>
          Effect.map(again, (raw) => view.applyEvent(Thing, ref, "added", raw.metadata.uid, raw))
        )
      )
    const ended = await run(patched("blue", [...needs, patch(Thing)]))
    expect(ended).toMatchObject({ _tag: "Again", cause: expect.stringContaining("there is no such object") })
    expect(view.find(Thing, at("a"))?.spec.colour).toBe("white")
    const { uid, resourceVersion } = view.find(Thing, at("a"))!.metadata
    expect(view.isPast(Thing, at("a"), uid, String(Number(resourceVersion) + 1))).toBe(false)
  })

  it("that lose to what has not the kind's shape say that they lost, and leave the view as it was", async () => {
    const { run, api, view } = await bench()
    await Effect.runPromise(api.mergePatch(Thing, at("a"), { spec: { colour: 7 } }))
    const ended = await run(patched("blue", [...needs, patch(Thing)]))
    expect(ended).toMatchObject({ _tag: "Again", cause: expect.stringContaining("it changed meanwhile") })
    expect(ended).not.toHaveProperty("isFault")
    expect(view.find(Thing, at("a"))?.spec.colour).toBe("red")
  })
})

describe("a handler's fresh read", () => {
  const looking = defineFunction({
    name: "look-on-change",
    on: [Thing.touched],
    needs: [...needs, readFresh(Thing)],
    handle: Effect.fnUntraced(function* () {
      const kube = yield* Kube
      return (yield* kube.get(Thing, at("a"))) === undefined ? "gone" : "there"
    })
  })

  it("does not take an object that has not the kind's shape for one that is gone", async () => {
    const { run, api, view } = await bench()
    await Effect.runPromise(api.mergePatch(Thing, at("a"), { spec: { colour: 7 } }))
    expect(await run(looking)).toMatchObject({
      _tag: "Again",
      isFault: true,
      cause: expect.stringContaining("the API server's answer is no Thing: things.test.example/default/a")
    })
    expect(view.find(Thing, at("a"))?.spec.colour).toBe("red")
  })

  it("takes out of the view what is gone", async () => {
    const { run, api, view } = await bench()
    await Effect.runPromise(api.remove(Thing, at("a")))
    expect(await run(looking)).toEqual({ _tag: "Done", decision: "gone" })
    expect(view.find(Thing, at("a"))).toBeUndefined()
  })
})
