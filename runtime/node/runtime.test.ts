import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { newHeld } from "./held.ts"
import { Kernel } from "./kernel/kernel.ts"
import type { KernelEvent, Link } from "./kernel/types.ts"
import { wireThat } from "./lan.fixture.ts"
import { NodeRuntime, type RuntimeOptions } from "./runtime.ts"
import { mine } from "./surroundings.fixture.ts"
import { defaultTimes } from "./times.ts"

const eth0: Link = {
  index: 1,
  name: "eth0",
  mac: mine,
  up: true,
  carrier: true,
  loopback: false,
  kind: undefined,
  defaultRoutes: [],
  addresses: [{ address: "10.0.0.9", prefix: 24, marked: false, validSeconds: Infinity, linkLocal: false }]
}
const ext = { address: "10.0.0.1", prefix: 32, marked: true, validSeconds: 300, linkLocal: false }

let links: ReadonlyArray<Link>
let tell: (event: KernelEvent) => void
let puts: Array<[number, ReadonlyArray<string>, number]>
let stop: AbortController
let told: Array<string>
const start = (options: Partial<RuntimeOptions> = {}) => {
  const runtime = new NodeRuntime({
    node: "me",
    version: "1",
    times: defaultTimes,
    choice: undefined,
    file: `${mkdtempSync(join(tmpdir(), "extip-runtime-test-"))}/slice`,
    inContact: () => true,
    report: ({ what, address }) => told.push(`${what} ${address}`),
    changed: () => undefined,
    wake: () => undefined,
    linksChanged: () => told.push("links"),
    say: (n) => told.push(n._tag),
    ...options
  })
  const running = runtime.run(stop.signal)
  return { runtime, running }
}
const sleep = (ms: number) => new Promise((r) => setTimeout(r, ms))
beforeEach(() => {
  links = [eth0]
  puts = []
  told = []
  stop = new AbortController()
  wireThat()
  vi.spyOn(Kernel, "open").mockImplementation(({ onEvent }) => {
    tell = onEvent
    return {
      links: () => links,
      close: () => undefined,
      remove: async (_: number, all: ReadonlyArray<string>) => all.map(() => 0),
      put: async (index: number, all: ReadonlyArray<string>, s: number) => {
        puts.push([index, all, s])
        return all.map(() => 0)
      }
    } as never
  })
})
afterEach(async () => {
  stop.abort()
  vi.restoreAllMocks()
})

describe("a node whose kernel told more than it could hear", () => {
  it.each([false, true])("is looked at when other events came with it (%s)", async (isWithOthers) => {
    links = [{ ...eth0, addresses: [...eth0.addresses, ext] }]
    start()
    await vi.waitUntil(() => puts.length > 0)
    await sleep(100)
    links = [eth0]
    puts = []
    // as Kernel.#drain hands it over: what came first, "overrun" last
    if (isWithOthers) tell({ what: "address-added", index: 7, address: "10.9.9.9", marked: false })
    tell({ what: "overrun" })
    await vi.waitUntil(() => puts.length > 0)
    expect(puts).toEqual([[1, ["10.0.0.1"], 10]])
  })
})

describe("an address that was taken off by others", () => {
  const turns = async () => {
    for (let turn = 0; turn < 5; turn++) await new Promise((done) => setImmediate(done))
  }
  afterEach(() => void vi.useRealTimers())

  it("is put back once they have had the time to see that it is gone, as `ip address flush` wants to", async () => {
    links = [{ ...eth0, addresses: [...eth0.addresses, ext] }]
    start()
    await vi.waitUntil(() => puts.length > 0)
    await sleep(100)
    const before = puts.length
    vi.useFakeTimers({ toFake: ["setTimeout"] })
    tell({ what: "address-removed", index: 1, address: "10.0.0.1", marked: true })
    vi.advanceTimersByTime(30)
    // One that is not held any more: released by ourselves.
    tell({ what: "address-removed", index: 1, address: "10.0.0.7", marked: true })
    vi.advanceTimersByTime(10)
    await turns()
    expect(puts).toHaveLength(before)
    vi.advanceTimersByTime(10)
    await turns()
    expect(puts).toHaveLength(before + 1)
    tell({ what: "address-removed", index: 1, address: "10.0.0.1", marked: true })
    vi.advanceTimersByTime(40)
    await turns()
    expect(puts).toHaveLength(before + 1)
    vi.advanceTimersByTime(10)
    await turns()
    expect(puts).toHaveLength(before + 2)
  })
})

describe("an address that is adopted on a link that is not usable", () => {
  it("is not held for ever", async () => {
    links = [{ ...eth0, addresses: [ext] }]
    const { runtime } = start()
    await vi.waitUntil(() => told.includes("released 10.0.0.1"), { timeout: 4_000 })
    expect(runtime.inventory()).toEqual([])
  })
})

describe("a node that is stopped", () => {
  it.each([0, 1200])(
    "keeps addresses for five minutes though what was under way took %s ms",
    async (millis) => {
      links = [{ ...eth0, addresses: [...eth0.addresses, ext] }]
      const { runtime, running } = start()
      await vi.waitUntil(() => puts.length > 0)
      await sleep(100)
      stop.abort()
      await running
      await sleep(millis) // duties.stop()
      await runtime.leave(async () => undefined)
      expect(puts.at(-1)).toEqual([1, ["10.0.0.1"], 300])
    }
  )
})

describe("renewing", () => {
  it("goes on after a failure", async () => {
    links = [{ ...eth0, addresses: [...eth0.addresses, ext] }]
    let n = 0
    vi.spyOn(Kernel, "open").mockImplementation(
      () =>
        ({
          links: () => links,
          close: () => undefined,
          put: async (_: number, all: ReadonlyArray<string>) => {
            if (n++ === 1) throw new Error("the kernel does not list its links, addresses or routes")
            return all.map(() => 0)
          }
        }) as never
    )
    const { running } = start({ times: { ...defaultTimes, renewMillis: 400 } })
    let ended = "running"
    running.then(
      () => {
        ended = "ended"
      },
      (e) => {
        ended = String(e)
      }
    )
    await vi.waitUntil(() => n > 2, { timeout: 3_000 })
    expect(ended).toBe("running")
  })
})

describe("what is put on a link that is dead by then", () => {
  it("is handed over", async () => {
    const { runtime } = start()
    await sleep(50)
    links = [{ ...eth0, carrier: false }]
    tell({ what: "link", index: 1, name: "eth0", up: true, carrier: false, removed: false })
    await sleep(1300)
    // a round of a binder or a takeover that asked while there was a carrier
    const held = newHeld(
      { claim: "10-0-0-1", address: "10.0.0.1", index: 1, term: 1, taken: false },
      performance.now()
    )
    await runtime.holder.put([held])
    await vi.waitUntil(() => told.includes("released 10.0.0.1"), { timeout: 3_000 })
    expect(runtime.inventory()).toEqual([])
  })
})

describe("a slice file", () => {
  it("with a term that no frame can carry does not keep the rest from being renewed", async () => {
    const file = `${mkdtempSync(join(tmpdir(), "extip-runtime-test-"))}/slice`
    const held = (one: string, term: number) => ({
      claim: one.replaceAll(".", "-"),
      address: one,
      term,
      taken: false
    })
    writeFileSync(
      file,
      JSON.stringify({ assignments: [], held: [held("10.0.0.1", 1), held("10.0.0.2", -1)], nodes: {} })
    )
    const addresses = ["10.0.0.1", "10.0.0.2"].map((address) => ({ ...ext, address, validSeconds: 9 }))
    links = [{ ...eth0, addresses: [...eth0.addresses, ...addresses] }]
    start({ file, inContact: () => false })
    await sleep(1_500)
    expect(puts.flatMap(([, all]) => all)).toContain("10.0.0.1")
  })
})
