import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { FunctionDefinition } from "../../runtime/Function.ts"
import { wokenKey } from "../../runtime/host/consumer.ts"
import { publishWake } from "../../runtime/host/host.ts"
import { type Disposition, defineFunction, Reject, Retry, RetryAfter, read } from "../../runtime/index.ts"
import { ConfigMap, ConfigMaps, isIn } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { Stack } from "../support/stack.ts"
import { stays, until } from "../support/until.ts"

class Failed extends Error {
  readonly _tag = "Failed"
  readonly disposition: Disposition
  constructor(disposition: Disposition, message = "it did not work") {
    super(message)
    this.disposition = disposition
  }
}

withParts("a handler that fails", (shared) => {
  let stack: Stack
  let maps: ConfigMaps

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("host-retry"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
  })
  afterAll(() => stack?.close())

  /**
   * A host of the function, which has been woken for what there is: else an object that is created meanwhile is both
   * there and an event, and the handler runs twice.
   */
  const hosting = async (fn: FunctionDefinition<any>, options: { readonly concurrency?: number } = {}) => {
    const host = await stack.host([fn], options)
    await until(`${fn.name} to have been woken for what there is`, async () => {
      const { config } = await stack.client.jsm.consumers.info("KUBE", fn.name)
      return config.metadata?.[wokenKey] !== undefined
    })
    return host
  }

  it("does not hold up others: one is tried again, less and less often", async () => {
    const attempts: Array<number> = []
    const done: Array<string> = []
    const fn = defineFunction({
      name: "retry-on-change",
      on: [ConfigMap.changed],
      when: (map: ConfigMap) =>
        map.metadata.namespace === "host-retry" && map.metadata.name.startsWith("retry-"),
      needs: [read(ConfigMap)],
      handle: Effect.fnUntraced(function* ({ metadata }: ConfigMap) {
        if (metadata.name !== "retry-bad") return void done.push(metadata.name)
        attempts.push(yield* Clock.currentTimeMillis)
        return yield* Effect.fail(new Failed(Retry))
      })
    })
    const host = await hosting(fn, { concurrency: 1 })
    await maps.create("retry-bad")
    await until("the first attempt", () => attempts.length > 0)
    await Promise.all(Array.from({ length: 20 }, (_, i) => maps.create(`retry-${i}`)))
    await until("the 20 others", () => done.length === 20)
    await until("six attempts", () => attempts.length >= 6)
    await host.stop()
    const gaps = attempts.slice(1).map((at, i) => at - attempts[i]!)
    // Half of each wait is random, the other doubles; a busy machine makes it longer, never shorter.
    for (const [i, gap] of gaps.slice(0, 5).entries()) expect(gap).toBeGreaterThanOrEqual(25 * 2 ** i - 1)
  })

  it("waits as long as RetryAfter says, and runs at once when the object changes meanwhile", async () => {
    const attempts: Array<number> = []
    const fn = defineFunction({
      name: "wait-on-change",
      on: [ConfigMap.changed],
      when: isIn("host-retry", "wait"),
      needs: [read(ConfigMap)],
      handle: Effect.fnUntraced(function* (map: ConfigMap) {
        attempts.push(yield* Clock.currentTimeMillis)
        if (attempts.length === 1) return yield* Effect.fail(new Failed(RetryAfter("700 millis")))
        if (map.data?.["go"] !== "on") return yield* Effect.fail(new Failed(RetryAfter("1 minute")))
      })
    })
    const host = await hosting(fn)
    await maps.create("wait")
    await until("the second attempt", () => attempts.length === 2)
    expect(attempts[1]! - attempts[0]!).toBeGreaterThanOrEqual(695)
    await maps.set("wait", { go: "on" })
    await until("the change to be handled", () => attempts.length === 3, { seconds: 3 })
    await host.stop()
  })

  it("puts one Warning Event on an object that it rejects, not one per event", async () => {
    let runs = 0
    const fn = defineFunction({
      name: "reject-on-change",
      on: [ConfigMap.changed],
      when: isIn("host-retry", "rejected"),
      needs: [read(ConfigMap)],
      handle: () =>
        Effect.suspend(() => {
          runs++
          return Effect.fail(new Failed(Reject("NotLikeThis"), "the data is not like this"))
        })
    })
    const host = await hosting(fn)
    await maps.create("rejected")
    for (let n = 1; n <= 3; n++) {
      await until(`run ${n}`, () => runs === n)
      await maps.set("rejected", { n: String(n) })
    }
    await until("run 4", () => runs === 4)
    await stays("an object that was rejected is left alone", () => runs === 4, 200)
    await host.stop()
    const events = (await stack.cluster.events("rejected", "host-retry")).filter(
      ({ reason }) => reason === "NotLikeThis"
    )
    expect(events).toMatchObject([{ type: "Warning", message: "the data is not like this", count: 1 }])
  })

  it("in the mapping of a trigger parks its object: others go on, the host lives, and a retry asks it again", async () => {
    const seen: Array<string> = []
    let isMended = false
    const fn = defineFunction({
      name: "map-on-change",
      on: [
        ConfigMap.changed.wakes({
          kind: ConfigMap,
          keys: ({ ref }) => {
            if (ref.namespace !== "host-retry" || !ref.name.startsWith("mapped-")) return []
            if (ref.name === "mapped-bad" && !isMended) throw new Error("a fault of the mapping's own")
            return [ref]
          }
        })
      ],
      needs: [read(ConfigMap)],
      handle: ({ metadata }: ConfigMap) => Effect.sync(() => void seen.push(metadata.name))
    })
    // Once among what there is when the function comes, once as an event.
    await maps.create("mapped-bad")
    await maps.create("mapped-before")
    const host = await hosting(fn)
    await until("the other one to be seen", () => seen.includes("mapped-before"))
    const parked = () => host.news.filter(({ _tag }) => _tag === "Parked")
    await until("it to be parked", () => parked().length > 0)
    const before = parked().length
    await maps.set("mapped-bad", { n: "1" })
    await maps.create("mapped-after")
    await until("one that came later to be seen", () => seen.includes("mapped-after"))
    await until("it to be parked again", () => parked().length > before)
    expect(parked().at(-1)).toMatchObject({
      function: "map-on-change",
      object: "configmaps/host-retry/mapped-bad",
      cause: expect.stringContaining("Error: a fault of the mapping's own")
    })
    const { jsm, js } = stack.client
    const subject = "parked.map-on-change.core.configmaps.host-retry.mapped-bad"
    const record = await jsm.direct.getMessage("PARKED", { last_by_subj: subject })
    expect(record?.json()).toMatchObject({ attempts: 1, traceId: expect.stringMatching(/^[0-9a-f]{32}$/) })
    await until("nothing to be left of it", async () => {
      const { num_pending, num_ack_pending } = await jsm.consumers.info("KUBE", "map-on-change")
      return num_pending + num_ack_pending === 0
    })
    isMended = true
    await publishWake(js, "map-on-change", ConfigMap, maps.ref("mapped-bad"), "")
    await until("the one that is mended to be seen", () => seen.includes("mapped-bad"))
    await host.stop()
  })
})
