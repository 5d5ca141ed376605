import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { repository } from "../support/cluster.ts"
import { ConfigMap, ConfigMaps } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { Stack } from "../support/stack.ts"
import { stays, until } from "../support/until.ts"

/** More of two function hosts is in `test/integration/host-failover.test.ts`. */
withParts("two function hosts that have little to do", (shared) => {
  let stack: Stack
  let maps: ConfigMaps

  const startHost = async (): Promise<void> => {
    const from = join(repository, "test/fixtures/work")
    const host = await stack.program("functions", ["--from", from, "--only", "sign-on-change"])
    await host.ready()
  }
  /** What the server calls the active host; another host has another one, and so has the same one anew. */
  const pinned = async () => {
    const seen = await stack.client.jsm.consumers.info("KUBE", "sign-on-change")
    const { priority_groups } = seen as { priority_groups?: ReadonlyArray<{ pinned_client_id?: string }> }
    return priority_groups?.[0]?.pinned_client_id
  }

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host-rest"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
    await Promise.all([startHost(), startHost()])
  })
  afterAll(() => stack?.close())

  it("leave it to the same one, though both ask for the next event for longer than a pin lasts", async () => {
    const doneBy = async () => (await maps.list()).flatMap((map) => (map["data"] as any)?.doneBy ?? [])
    await maps.create("first", { millis: "0" })
    await until("the first to be done", async () => (await doneBy()).length === 1)
    const pin = await pinned()
    expect(pin).toBeTruthy()
    const seconds = 20
    for (let second = 0; second < seconds; second++) {
      await maps.create(`rest-${second}`, { millis: "0" })
      await stays("the same host is the active one", async () => (await pinned()) === pin, 1_000)
    }
    await until("all to be done", async () => (await doneBy()).length === seconds + 1)
    expect(new Set(await doneBy()).size).toBe(1)
  })
})
