import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { repository } from "../support/cluster.ts"
import { ConfigMap, ConfigMaps } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import type { Program } from "../support/programs.ts"
import { Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

withParts("two function hosts", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  const hosts = new Map<string, Program>()
  const names = (prefix: string, count: number) => Array.from({ length: count }, (_, i) => `${prefix}-${i}`)

  /** A host of the function `sign-on-change`, which leaves its pid on what it does. */
  const startHost = async (): Promise<void> => {
    const from = join(repository, "test/fixtures/work")
    const args = ["--from", from, "--only", "sign-on-change", "--concurrency", "4"]
    const host = await stack.program("functions", args)
    await host.ready()
    hosts.set(String(host.pid), host)
  }

  const give = (prefix: string, count: number, millis: number) =>
    Promise.all(names(prefix, count).map((name) => maps.create(name, { millis: String(millis) })))

  /** Object → who has begun, and done, its work. */
  const signed = async (prefix: string) =>
    (await maps.list())
      .filter(({ metadata }) => metadata.name.startsWith(`${prefix}-`))
      .map((map) => map["data"] as { readonly begunBy?: string; readonly doneBy?: string })

  const allDone = (prefix: string, count: number, seconds: number) =>
    until(
      `all ${count} of ${prefix} to be done`,
      async () => {
        const all = await signed(prefix)
        return all.filter(({ doneBy }) => doneBy !== undefined).length === count && all
      },
      { seconds, last: () => signed(prefix) }
    )

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host-failover"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
    await Promise.all([startHost(), startHost()])
  })
  afterAll(() => stack?.close())

  it("leave a function to one of them", async () => {
    await give("pinned", 20, 10)
    const all = await allDone("pinned", 20, 10)
    expect(new Set(all.map(({ doneBy }) => doneBy)).size).toBe(1)
    expect(all.every(({ begunBy, doneBy }) => begunBy === doneBy)).toBe(true)
  })

  it("lose nothing when the active one is killed at work: the other goes on", async () => {
    const active = (await signed("pinned"))[0]!.doneBy!
    await give("killed", 12, 300)
    await until(
      "half of it to be done",
      async () => (await signed("killed")).filter(({ doneBy }) => doneBy !== undefined).length >= 4
    )
    await hosts.get(active)!.kill("SIGKILL")
    hosts.delete(active)
    const all = await allDone("killed", 12, 20)
    const [other] = hosts.keys()
    expect(new Set(all.map(({ doneBy }) => doneBy))).toEqual(new Set([active, other]))
  })

  it("hand over at once on SIGTERM: what runs is finished, the rest is the other's, and it ends with 0", async () => {
    await startHost()
    const [active, other] = hosts.keys() as unknown as [string, string]
    await give("drained", 16, 400)
    await until("the first to be done", async () =>
      (await signed("drained")).some(({ doneBy }) => doneBy !== undefined)
    )
    const told = performance.now()
    expect(await hosts.get(active)!.kill("SIGTERM")).toBe(0)
    hosts.delete(active)
    const all = await allDone("drained", 16, 10)
    // 12 pieces of work, four at a time, and no waiting for the end of any patience.
    expect(performance.now() - told).toBeLessThan(4_000)
    expect(all.every(({ begunBy, doneBy }) => begunBy === doneBy)).toBe(true)
    expect(new Set(all.map(({ doneBy }) => doneBy))).toEqual(new Set([active, other]))
  })

  it("leave work that takes longer than their patience to who has begun it, though the other one ends", async () => {
    const [active] = hosts.keys() as unknown as [string]
    await startHost()
    // An event that nobody says anything of is given to another host after five seconds.
    await give("spare", 4, 5_500)
    await until("the first to be begun", async () =>
      (await signed("spare")).some(({ begunBy }) => begunBy !== undefined)
    )
    const [, spare] = hosts.keys() as unknown as [string, string]
    expect(await hosts.get(spare)!.kill("SIGTERM")).toBe(0)
    const all = await allDone("spare", 4, 15)
    expect(all.every(({ begunBy, doneBy }) => begunBy === active && doneBy === active)).toBe(true)
    await give("after", 4, 10)
    const after = await allDone("after", 4, 2)
    expect(new Set(after.map(({ doneBy }) => doneBy))).toEqual(new Set([active]))
  })
})
