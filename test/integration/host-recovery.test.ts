import { cpSync, rmSync } from "node:fs"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { BridgeNews } from "../../runtime/bridge/bridge.ts"
import { wokenKey } from "../../runtime/host/consumer.ts"
import { defineFunction, every, Kube, patch, read, refOf } from "../../runtime/index.ts"
import { ConfigMap, ConfigMaps, isIn } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { type Running, type RunningHost, Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

/** Copies `from` to `to`, and is done when they are equal: what it has missed can be seen. */
const copier = (name: string, runs: Array<string> = []) =>
  defineFunction({
    name,
    on: [ConfigMap.changed],
    when: isIn("host-recovery"),
    needs: [read(ConfigMap), patch(ConfigMap)],
    handle: Effect.fnUntraced(function* (map: ConfigMap) {
      const kube = yield* Kube
      runs.push(map.metadata.name)
      const from = map.data?.["from"] ?? ""
      if (map.data?.[name] === from) return
      const { uid, resourceVersion } = map.metadata
      yield* kube.patch(ConfigMap, refOf(map), { uid, resourceVersion }, { data: { [name]: from } })
    })
  })

withParts("a function host in trouble", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  let bridge: Running<BridgeNews>
  let host: RunningHost

  const copied = (name: string, from: string) =>
    until(
      `every ConfigMap to be copied by ${name} as ${from}`,
      async () => (await maps.list()).every((map) => (map["data"] as any)?.[name] === from),
      {
        last: async () => [
          (await maps.list()).map((map) => map["data"]),
          host.news.slice(-3),
          bridge.news.slice(-3)
        ]
      }
    )
  const setAll = async (from: string) => {
    for (const { metadata } of await maps.list()) await maps.set(metadata.name, { from })
  }

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host-recovery"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await Promise.all(Array.from({ length: 10 }, (_, i) => maps.create(`map-${i}`, { from: "a" })))
    bridge = await stack.bridge([ConfigMap])
  })
  afterAll(() => stack?.close())

  it("wakes a function that is deployed late for everything that is there, once", async () => {
    const runs: Array<string> = []
    host = await stack.host([copier("late", runs)])
    await copied("late", "a")
    // A host that ends before that leaves it to the next one.
    await until(
      "the function to have been woken for everything, and to have nothing left to do",
      async () => {
        const { config, num_pending, num_ack_pending } = await stack.client.jsm.consumers.info("KUBE", "late")
        return config.metadata?.[wokenKey] !== undefined && num_pending + num_ack_pending === 0
      }
    )
    await host.stop()
    const before = runs.length
    const again = await stack.host([copier("late", runs)])
    await maps.create("map-new", { from: "a" })
    await copied("late", "a")
    await again.stop()
    // The new one, and the event of our own write; none of the ten others.
    expect(new Set(runs.slice(before))).toEqual(new Set(["map-new"]))
  })

  it("makes a consumer again that was deleted by hand, and misses nothing", async () => {
    await setAll("a")
    host = await stack.host([copier("again")])
    await copied("again", "a")
    await stack.client.jsm.consumers.delete("KUBE", "again")
    await setAll("b")
    await copied("again", "b")
    await host.stop()
  })

  it("wakes a function for everything when events that it has not seen have aged out of the log, once", async () => {
    const { jsm } = stack.client
    const runs: Array<string> = []
    const noter = defineFunction({
      name: "aged",
      on: [ConfigMap.changed],
      when: isIn("host-recovery"),
      needs: [read(ConfigMap)],
      handle: (map: ConfigMap) => Effect.sync(() => void runs.push(map.metadata.name))
    })
    const seen = () => jsm.consumers.info("KUBE", "aged")
    const wokenUpTo = async (sequence: number) => {
      await until(
        "the function to have been woken for everything, and to have nothing left to do",
        async () => {
          const { config, num_pending, num_ack_pending } = await seen()
          return Number(config.metadata?.[wokenKey]) >= sequence && num_pending + num_ack_pending === 0
        }
      )
    }
    /** As they are removed when their time has come, the oldest first. */
    const age = async () => {
      const { state } = await jsm.streams.info("KUBE")
      for (let seq = state.first_seq; seq <= state.last_seq; seq++)
        await jsm.streams.deleteMessage("KUBE", seq)
      return state.last_seq
    }
    host = await stack.host([noter])
    await wokenUpTo(1)
    await host.stop()
    const before = runs.length
    await setAll("aged")
    const count = (await maps.list()).length
    await until("the events to be in the log", async () => (await seen()).num_pending === count)
    const last = await age()
    expect((await seen()).num_pending).toBe(0)
    host = await stack.host([noter])
    await wokenUpTo(last)
    await host.stop()
    const all = (await maps.list()).map(({ metadata }) => metadata.name)
    expect(new Set(runs.slice(before))).toEqual(new Set(all))
    const woken = runs.length
    await age()
    host = await stack.host([noter])
    await maps.create("map-aged", { from: "aged" })
    await until("the new one to be seen", () => runs.includes("map-aged"))
    await host.stop()
    await age()
    host = await stack.host([noter])
    await maps.create("map-aged-too", { from: "aged" })
    await until("the new one to be seen", () => runs.includes("map-aged-too"))
    await host.stop()
    expect(new Set(runs.slice(woken))).toEqual(new Set(["map-aged", "map-aged-too"]))
  })

  it("makes a consumer again that is ahead of the log, and wakes the function for everything", async () => {
    await setAll("a")
    host = await stack.host([copier("ahead")])
    await copied("ahead", "a")
    const { config } = await until("everything to have been woken", async () => {
      const seen = await stack.client.jsm.consumers.info("KUBE", "ahead")
      return seen.config.metadata?.[wokenKey] !== undefined && seen
    })
    await host.stop()
    await stack.client.jsm.consumers.delete("KUBE", "ahead")
    await stack.client.jsm.consumers.add("KUBE", { ...config, opt_start_seq: 1_000_000 })
    await setAll("b")
    host = await stack.host([copier("ahead")])
    await copied("ahead", "b")
    await setAll("c")
    await copied("ahead", "c")
    await host.stop()
  })

  it("notices that the log went back in time and has grown since, and acts on what has come since", async () => {
    await setAll("a")
    let looks = true
    host = await stack.host([copier("back")], { isConnected: () => looks })
    await copied("back", "a")
    const { jsm, js } = stack.client
    const isIdle = async () => {
      const { config, num_pending, num_ack_pending } = await jsm.consumers.info("KUBE", "back")
      return config.metadata?.[wokenKey] !== undefined && num_pending + num_ack_pending === 0
    }
    await until("the function to have nothing left to do", isIdle)
    const { kill, start } = stack.nats.process
    const copy = `${stack.nats.storeDir}-copy`
    await bridge.stop()
    await Effect.runPromise(kill("SIGKILL"))
    cpSync(stack.nats.storeDir, copy, { recursive: true })
    await Effect.runPromise(start)
    bridge = await stack.bridge([ConfigMap])
    await setAll("b")
    await copied("back", "b")
    await until("the function to have nothing left to do", isIdle)
    const before = await jsm.streams.info("KUBE")
    // Nobody sees it while it is shorter than it was: what was lost is published again by then, and more.
    looks = false
    await bridge.stop()
    await Effect.runPromise(kill("SIGKILL"))
    rmSync(stack.nats.storeDir, { recursive: true })
    cpSync(copy, stack.nats.storeDir, { recursive: true })
    await setAll("c")
    await Effect.runPromise(start)
    bridge = await stack.bridge([ConfigMap])
    const tick = () => js.publish("kube.tick.some-function", "")
    await until("the log to be longer than it was", async () => (await tick()).seq > before.state.last_seq)
    await until("the function to have nothing left to do", isIdle)
    expect((await jsm.streams.info("KUBE")).created).toBe(before.created)
    looks = true
    await copied("back", "c")
    expect(host.news).toContainEqual({
      _tag: "Lost",
      message: "the stream KUBE went back in time and has grown since"
    })
    await host.stop()
  })

  it("goes on when NATS is killed and started again, with what happened meanwhile", async () => {
    await setAll("b")
    host = await stack.host([copier("nats")])
    await copied("nats", "b")
    await Effect.runPromise(stack.nats.process.kill("SIGKILL"))
    await setAll("c")
    await Effect.runPromise(stack.nats.process.start)
    await copied("nats", "c")
    await host.stop()
  })

  it("goes on when JetStream was wiped under it, and writes nothing to what is as it should be", async () => {
    await setAll("c")
    host = await stack.host([copier("wiped")])
    await copied("wiped", "c")
    const versions = (await maps.list()).map(({ metadata }) => metadata.resourceVersion)
    await Effect.runPromise(stack.nats.process.kill("SIGKILL"))
    rmSync(stack.nats.storeDir, { recursive: true })
    await Effect.runPromise(stack.nats.process.start)
    await until(
      "the host to be ready on the new log",
      () => host.news.filter(({ _tag }) => _tag === "Hydrated").length > 1
    )
    await maps.create("map-after", { from: "c" })
    await copied("wiped", "c")
    expect((await maps.list()).map(({ metadata }) => metadata.resourceVersion)).toEqual(
      expect.arrayContaining(versions)
    )
    await setAll("d")
    await copied("wiped", "d")
    await host.stop()
  })

  it("runs a timer once per interval, however many hosts there are", async () => {
    const ticks: Array<{ readonly at: number; readonly host: number }> = []
    const timer = (host: number) =>
      defineFunction({
        name: "note-on-tick",
        on: [every("1 second")],
        needs: [read(ConfigMap)],
        handle: ({ at }) => Effect.sync(() => void ticks.push({ at, host }))
      })
    const hosts = [await stack.host([timer(0)])]
    await new Promise((resolve) => setTimeout(resolve, 400))
    hosts.push(await stack.host([timer(1)]))
    await until("four ticks", () => ticks.length >= 4)
    await hosts[0]!.stop()
    const before = ticks.length
    await until("two ticks of the other host", () => ticks.length >= before + 2)
    await hosts[1]!.stop()
    const times = ticks.map(({ at }) => at)
    expect(times).toEqual(times.map((_, i) => times[0]! + i * 1_000))
    expect(new Set(ticks.slice(before).map(({ host }) => host))).toEqual(new Set([1]))
  })
})
