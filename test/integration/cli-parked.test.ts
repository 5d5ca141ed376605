import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { loadFunctions } from "../../runtime/cli/load.ts"
import { repository } from "../support/cluster.ts"
import { ConfigMap, ConfigMaps } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { extip } from "../support/programs.ts"
import { type RunningHost, Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

const from = join(repository, "test/fixtures/parking")

withParts("extip parked", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  let host: RunningHost

  const parked = async (...args: ReadonlyArray<string>) => {
    const ran = await extip(["parked", ...args], { NATS_URL: stack.nats.url, EXTIP_FROM: from })
    expect(ran.error).toBe("")
    return ran.out
  }
  /** What is tried again runs at once when its object changes: ten attempts in no time. */
  const park = async (name: string) => {
    await maps.create(name, { fault: "yes" })
    await until(`${name} to be parked`, async () => {
      const done = host.news.some(
        (one) => one._tag === "Parked" && one.object === `configmaps/cli-parked/${name}`
      )
      if (!done) await maps.set(name, { touched: String(performance.now()) })
      return done
    })
  }
  const numberOf = (list: string, name: string) =>
    list
      .split("\n")
      .find((line) => line.includes(`/${name} `))
      ?.split(" ")[0]

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("cli-parked"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
    host = await stack.host(await loadFunctions(from))
  })
  afterAll(() => stack?.close())

  it("has nothing to list where nothing went wrong", async () => {
    expect(await parked("list")).toBe("nothing is parked\n")
  })

  it("lists what a function gave up on after ten attempts, while it goes on with the rest", async () => {
    await maps.create("good", { fault: "no" })
    await until("the good one to be done", async () => (await maps.data("good"))["done"] === "yes")
    await park("bad")
    await maps.create("better", { fault: "no" })
    await until("one that came later to be done", async () => (await maps.data("better"))["done"] === "yes")
    const list = await parked("list")
    expect(list).toContain("throw-on-change  configmaps/cli-parked/bad  Error: a fault of the function's own")
    expect(list.trim().split("\n")).toHaveLength(1)
  })

  it("shows one of them with its cause, the attempts and the trace", async () => {
    const number = numberOf(await parked("list"), "bad")!
    const shown = JSON.parse(await parked("show", number))
    expect(shown).toMatchObject({
      function: "throw-on-change",
      object: "configmaps/cli-parked/bad",
      attempts: 10,
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/)
    })
    expect(shown.cause).toContain("a fault of the function's own")
    expect(shown.cause).toContain("throw-on-change/function.ts")
  })

  it("retries one: the function runs for the object's present state, and it leaves the list", async () => {
    const number = numberOf(await parked("list"), "bad")!
    process.env["PARKING_MENDED"] = "yes"
    expect(await parked("retry", number)).toContain(
      "throw-on-change runs again for configmaps/cli-parked/bad"
    )
    await until("it to be done", async () => (await maps.data("bad"))["done"] === "yes")
    expect(await parked("list")).toBe("nothing is parked\n")
  })

  it("drops one: it leaves the list and nothing runs", async () => {
    delete process.env["PARKING_MENDED"]
    await park("worse")
    const number = numberOf(await parked("list"), "worse")!
    expect(await parked("drop", number)).toContain("dropped: throw-on-change for configmaps/cli-parked/worse")
    expect(await parked("list")).toBe("nothing is parked\n")
    expect((await maps.data("worse"))["done"]).toBeUndefined()
  })

  it("says in a sentence when there is none of that number", async () => {
    const ran = await extip(["parked", "show", "4711", "--nats", stack.nats.url])
    expect(ran.code).toBe(1)
    expect(ran.out + ran.error).toContain("nothing is parked under number 4711; see: extip parked list")
  })
})
