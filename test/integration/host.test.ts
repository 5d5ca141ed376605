import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  type Change,
  create,
  defineFunction,
  defineIndex,
  defineKind,
  Kube,
  patch,
  read,
  refOf
} from "../../runtime/index.ts"
import { ConfigMap, ConfigMaps, isIn } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

withParts("the function host", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  let bridge: Awaited<ReturnType<Stack["bridge"]>>

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    bridge = await stack.bridge([ConfigMap])
  })
  afterAll(() => stack?.close())

  it("shows a handler the state that woke it, and what it has written itself, at once", async () => {
    const seen: Array<Record<string, unknown>> = []
    const fn = defineFunction({
      name: "write-on-change",
      on: [ConfigMap.changed],
      when: isIn("host", "own-writes"),
      needs: [read(ConfigMap), patch(ConfigMap)],
      handle: Effect.fnUntraced(function* (map: ConfigMap) {
        const kube = yield* Kube
        const ref = refOf(map)
        const before = kube.find(ConfigMap, ref)
        if (map.data?.["copy"] === map.data?.["from"]) return
        const { uid, resourceVersion } = map.metadata
        yield* kube.patch(ConfigMap, ref, { uid, resourceVersion }, { data: { copy: map.data?.["from"] } })
        seen.push({
          woken: map.data?.["from"],
          before: before?.data?.["from"],
          after: kube.find(ConfigMap, ref)?.data?.["copy"]
        })
      })
    })
    const host = await stack.host([fn])
    await maps.create("own-writes", { from: "1" })
    await until("the copy of 1", async () => (await maps.data("own-writes"))["copy"] === "1")
    await maps.set("own-writes", { from: "2" })
    await until("the copy of 2", async () => (await maps.data("own-writes"))["copy"] === "2")
    await host.stop()
    expect(seen).toEqual([
      { woken: "1", before: "1", after: "1" },
      { woken: "2", before: "2", after: "2" }
    ])
  })

  it("runs one event of an object at a time and in order, and as many objects side by side as it may", async () => {
    const running = new Map<string, number>()
    const seen: Array<number> = []
    let [most, mostOfOne] = [0, 0]
    const fn = defineFunction({
      name: "count-on-change",
      on: [ConfigMap.changed],
      when: (map: ConfigMap) => map.metadata.namespace === "host" && map.metadata.name.startsWith("order-"),
      needs: [read(ConfigMap)],
      handle: Effect.fnUntraced(function* (map: ConfigMap) {
        const { name } = map.metadata
        running.set(name, (running.get(name) ?? 0) + 1)
        most = Math.max(
          most,
          [...running.values()].reduce((sum, count) => sum + count, 0)
        )
        mostOfOne = Math.max(mostOfOne, running.get(name)!)
        if (name === "order-0") seen.push(Number(map.data?.["n"]))
        yield* Effect.sleep("15 millis")
        running.set(name, running.get(name)! - 1)
      })
    })
    const host = await stack.host([fn], { concurrency: 5 })
    await maps.create("order-0", { n: "0" })
    const others = Array.from({ length: 30 }, (_, i) => maps.create(`order-${i + 1}`))
    for (let n = 1; n <= 30; n++) await maps.set("order-0", { n: String(n) })
    await Promise.all(others)
    await until("the last state of order-0", () => seen.at(-1) === 30)
    await until("all 31 objects to have run", () => running.size === 31)
    await host.stop()
    expect(seen).toEqual(seen.toSorted((a, b) => a - b))
    expect(mostOfOne).toBe(1)
    expect(most).toBe(5)
  })

  it("refuses a write that the function does not declare before it reaches the network", async () => {
    const fn = defineFunction({
      name: "overreach-on-change",
      on: [ConfigMap.changed],
      when: isIn("host", "overreach"),
      needs: [read(ConfigMap)],
      handle: Effect.fnUntraced(function* () {
        const kube = yield* Kube
        yield* kube.create(ConfigMap, { metadata: { namespace: "host", name: "undeclared" } })
      })
    })
    const host = await stack.host([fn])
    await maps.create("overreach")
    const said = await until("the refusal", () => host.news.find(({ _tag }) => _tag === "Again"))
    await host.stop()
    expect(said).toMatchObject({
      cause: expect.stringContaining(
        'function "overreach-on-change" tried to create configmaps, which is not in its "needs"'
      )
    })
    expect(await maps.list()).not.toContainEqual(
      expect.objectContaining({ metadata: expect.objectContaining({ name: "undeclared" }) })
    )
  })

  it("goes on with the rest when an index throws for an object, and only the runs that ask for it fail", async () => {
    const strict = defineIndex<Set<string>>({
      name: "strict",
      reads: [ConfigMap],
      make: () => {
        const state = new Set<string>()
        const apply = ({ key, after }: Change) => {
          const map = after as ConfigMap | undefined
          if (map?.data?.["index"] === "odd") throw new Error("an odd one")
          if (map !== undefined) state.add(key)
        }
        return { state, apply }
      }
    })
    const seen: Array<string> = []
    const ofIndex = defineFunction({
      name: "index-on-change",
      on: [ConfigMap.changed],
      when: isIn("host", "indexed-1", "indexed-2", "indexed-3"),
      needs: [read(ConfigMap)],
      handle: Effect.fnUntraced(function* (map: ConfigMap) {
        const kube = yield* Kube
        kube.index(strict)
        seen.push(map.metadata.name)
      })
    })
    const host = await stack.host([ofIndex])
    await maps.create("indexed-1")
    await until("a run with the index", () => seen.includes("indexed-1"))
    await maps.create("indexed-2", { index: "odd" })
    const failed = await until("the run that failed", () => host.news.find(({ _tag }) => _tag === "Again"))
    expect(failed).toMatchObject({
      cause: expect.stringContaining("the index strict cannot take in configmaps/host/indexed-2: an odd one")
    })
    await maps.set("indexed-2", { index: "even" })
    await maps.create("indexed-3")
    await until("runs with the index again", () => seen.includes("indexed-2") && seen.includes("indexed-3"))
    await host.stop()
  })

  it("runs no handler before everything that it reads has been seen whole", async () => {
    const Lease = defineKind<ConfigMap>({
      group: "coordination.k8s.io",
      version: "v1",
      kind: "Lease",
      plural: "leases",
      namespaced: true,
      schema: ConfigMap.schema
    })
    const seen: Array<number> = []
    const fn = defineFunction({
      name: "look-on-change",
      on: [ConfigMap.changed],
      when: isIn("host", "looks"),
      needs: [read(ConfigMap, Lease), create(ConfigMap)],
      handle: Effect.fnUntraced(function* () {
        const kube = yield* Kube
        const mine = Array.from(kube.list(Lease)).filter(({ metadata }) => metadata.namespace === "host")
        seen.push(mine.length)
      })
    })
    await stack.cluster.create(Lease, { metadata: { namespace: "host", name: `one-${Date.now()}` } })
    await maps.create("looks")
    const host = await stack.host([fn], { waitUntilReady: false })
    await until("the host to say what it waits for", () =>
      host.news.some(
        (one) => one._tag === "Waiting" && one.message === "the bridge has not synced leases yet"
      )
    )
    expect(seen).toEqual([])
    expect(host.state.isReady()).toBe(false)
    await bridge.stop()
    bridge = await stack.bridge([ConfigMap, Lease])
    await until("the handler to run", () => seen.length > 0)
    await host.stop()
    expect(seen[0]).toBeGreaterThan(0)
  })
})
