import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { defineFunction, read } from "../../runtime/index.ts"
import { ConfigMap, ConfigMaps, isIn } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

withParts("a function host, whatever it is given,", (shared) => {
  let stack: Stack
  let maps: ConfigMaps

  /** A function that notes what it was woken for. */
  const watcher = (name: string, seen: Array<string>) =>
    defineFunction({
      name,
      on: [ConfigMap.changed],
      when: isIn("host-odd"),
      needs: [read(ConfigMap)],
      handle: (map: ConfigMap) => Effect.sync(() => void seen.push(map.metadata.name))
    })

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host-odd"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
  })
  afterAll(() => stack?.close())

  it("goes on with the rest when a handler never ends and the log is another one, and ends on SIGTERM", async () => {
    const seen: Array<string> = []
    let hung = 0
    const endless = defineFunction({
      name: "hang-on-change",
      on: [ConfigMap.changed],
      when: isIn("host-odd", "hangs"),
      needs: [read(ConfigMap)],
      handle: () =>
        Effect.suspend(() =>
          Effect.andThen(
            Effect.sync(() => hung++),
            Effect.never
          )
        )
    })
    const host = await stack.host([watcher("watch-beside", seen), endless], { drainMillis: 500 })
    await maps.create("hangs")
    await until("the handler that never ends to run", () => hung === 1)
    const hydrated = () => host.news.filter(({ _tag }) => _tag === "Hydrated").length
    const before = hydrated()
    await stack.client.jsm.streams.delete("KUBE")
    await until("the host to follow the new log", () => hydrated() > before && host.state.isReady())
    await maps.create("after")
    await until("the other function to go on", () => seen.includes("after"))
    await until("the handler that never ends to run again", () => hung === 2)
    await host.stop()
  })

  it("passes over what is no object, and says so; also when it begins", async () => {
    const { js } = stack.client
    const put = (name: string, body: string) =>
      js.publish(`kube.core.configmaps.host-odd.${name}.added`, body)
    await put("odd-0", "no json")
    const seen: Array<string> = []
    const host = await stack.host([watcher("watch-odd", seen)])
    for (const [i, body] of ["null", "{}", '{"metadata":{"name":7}}', "["].entries())
      await put(`odd-${i + 1}`, body)
    await maps.create("even")
    await until("what comes after it", () => seen.includes("even"))
    await host.stop()
    const said = host.news.flatMap((one) => (one._tag === "Undecodable" ? [one.object] : []))
    for (let i = 0; i <= 4; i++) expect(said).toContainEqual(expect.stringContaining(`odd-${i}`))
    expect(host.news.some(({ _tag }) => _tag === "Lost")).toBe(false)
  })

  it("ends when it is told to while it reads what there is", async () => {
    for (let millis = 0; millis < 200; millis += 20) {
      const host = await stack.host([watcher("watch-shortly", [])], { waitUntilReady: false })
      await new Promise((resolve) => setTimeout(resolve, millis))
      await host.stop()
    }
  })
})
