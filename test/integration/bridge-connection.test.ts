import * as Effect from "effect/Effect"
import { afterAll, afterEach, assert, beforeAll, it } from "vitest"
import { BridgeRig } from "../support/bridge.ts"
import { withParts } from "../support/parts.ts"
import { TcpProxy, through } from "../support/proxy.ts"
import { until } from "../support/until.ts"
import { names, Writes } from "../support/writes.ts"

const silenceMillis = 1_500
const kilobyte = 1024

withParts("a bridge whose connection to the API server", (shared) => {
  let rig: BridgeRig
  let proxy: TcpProxy
  let writes: Writes
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    proxy = await TcpProxy.open(shared.port)
    writes = new Writes(rig.cluster, await rig.cluster.namespace("bridge-connection"))
  })
  afterEach(async () => {
    proxy.behave({ _tag: "Pass" })
    await rig.stopAll()
  })
  afterAll(async () => {
    await rig.close()
    await proxy.close()
  })

  const start = async () => {
    const bridge = await rig.start({
      cluster: through(rig.cluster.access, proxy),
      times: { silenceMillis, headersMillis: silenceMillis }
    })
    await bridge.says("Synced")
    await rig.agrees()
    writes.forget()
    return bridge
  }

  it("is reset in the middle of an event goes on with that event, without a list", async () => {
    const bridge = await start()
    const resets = proxy.resets
    await writes.create(names("torn", 5))
    proxy.behave({ _tag: "ResetAfter", bytes: 100 * kilobyte })
    await writes.change(names("torn", 5), "x".repeat(300 * kilobyte))
    await writes.change(names("torn", 5))
    await rig.agrees({ wrote: writes.ids })
    assert.isAbove(proxy.resets, resets)
    assert.strictEqual(bridge.count("Listed"), 1)
  })

  it("is reset again and again loses nothing, and does not ask again at once", async () => {
    const bridge = await start()
    const opened = proxy.opened
    await writes.create(names("again", 100))
    for (let round = 0; round < 5; round++) {
      await writes.change(names("again", 100))
      const before = proxy.opened
      proxy.resetOpen()
      await until("the bridge to come back", () => proxy.opened > before)
    }
    await rig.agrees({ wrote: writes.ids })
    assert.strictEqual(bridge.count("Listed"), 1)
    assert.isAtMost(proxy.opened - opened, 15)
  })

  it("becomes a black hole notices by the silence, and catches up when there is a way again", async () => {
    const bridge = await start()
    await writes.create(names("hole", 10))
    await rig.agrees({ wrote: writes.ids })
    proxy.behave({ _tag: "BlackHole" })
    await writes.change(names("hole", 10))
    await writes.remove(names("hole", 3))
    const trouble = await bridge.says("Trouble", 1, 10)
    assert.match(trouble.message, /nothing was heard for 1.5 s/)
    proxy.behave({ _tag: "Pass" })
    await rig.agrees({ seconds: 30 })
  })

  it("was forgotten by a firewall opens another one, and loses nothing", async () => {
    const bridge = await start()
    await writes.create(names("forgotten", 10))
    await rig.agrees({ wrote: writes.ids })
    proxy.loseOpen()
    await writes.change(names("forgotten", 10))
    // Nothing else tells: of a connection that only waits to be told something, TCP says nothing for ever.
    const trouble = await bridge.says("Trouble", 1, 10)
    assert.match(trouble.message, /nothing was heard for 1.5 s/)
    await rig.agrees({ wrote: writes.ids, seconds: 30 })
  })

  it("is slow and late gets every event in its order", async () => {
    await start()
    await writes.create(names("slow", 50))
    proxy.behave({ _tag: "Throttle", bytesPerSecond: 200 * kilobyte })
    for (let round = 0; round < 4; round++) await writes.change(names("slow", 50))
    await writes.change(names("slow", 3), "x".repeat(100 * kilobyte))
    proxy.behave({ _tag: "Delay", millis: 30 })
    await writes.remove(names("slow", 10))
    await rig.agrees({ wrote: writes.ids, seconds: 30 })
  })

  it("takes nothing for a while, because NATS takes nothing, publishes it all afterwards", async () => {
    const bridge = await start()
    const body = "x".repeat(4 * kilobyte)
    await writes.create(names("held", 100), body)
    await rig.agrees({ wrote: writes.ids })
    await Effect.runPromise(rig.nats.process.pause)
    for (let round = 0; round < 4; round++) await writes.change(names("held", 100), `${round} ${body}`)
    await writes.remove(names("held", 50))
    await Effect.runPromise(rig.nats.process.resume)
    await rig.agrees({ wrote: writes.ids, seconds: 30 })
    assert.strictEqual(bridge.count("Listed"), 1)
  })
})
