import { cpSync, rmSync } from "node:fs"
import * as Effect from "effect/Effect"
import { afterAll, afterEach, assert, beforeAll, beforeEach, it } from "vitest"
import { readIncarnation } from "../../runtime/nats/streams.ts"
import { BridgeRig } from "../support/bridge.ts"
import { withParts } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { names, Writes } from "../support/writes.ts"

/** `EXTIP_LONG=1` has the outage as long as the issue asks for; otherwise longer than any lease or time-out of ours. */
const awaySeconds = process.env["EXTIP_LONG"] === "1" ? 20 : 8

withParts("a bridge whose NATS", (shared) => {
  let rig: BridgeRig
  let writes: Writes
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    writes = new Writes(rig.cluster, await rig.cluster.namespace("bridge-nats"))
  })
  beforeEach(() => writes.forget())
  afterEach(() => rig.stopAll())
  afterAll(() => rig.close())

  const stop = () => Effect.runPromise(rig.nats.process.kill("SIGKILL"))
  const start = async () => {
    await Effect.runPromise(rig.nats.process.start)
    await until("the test itself to be connected", () => rig.client.isConnected())
  }
  const created = async () => (await readIncarnation(rig.client.jsm))?.created

  it("is killed and away while 1,000 objects change publishes every change, in order, without a list", async () => {
    const all = names("many", 1_000)
    await writes.create(all)
    writes.forget()
    const bridge = await rig.start()
    await bridge.says("Synced")
    const killed = performance.now()
    await stop()
    await writes.change(all)
    await writes.remove(all.slice(0, 100))
    await until("the outage to be over", () => performance.now() - killed > awaySeconds * 1_000, {
      seconds: awaySeconds + 1
    })
    await start()
    await rig.agrees({ wrote: writes.ids, seconds: 30 })
    assert.strictEqual(bridge.count("Listed"), 1)
    assert.strictEqual(writes.ids.size, 1_100)
  }, 90_000)

  it("is wiped makes a new log of what the cluster has, and says so by its name", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const before = await created()
    await stop()
    rmSync(rig.nats.storeDir, { recursive: true })
    await writes.create(names("wiped", 10))
    await start()
    await bridge.says("Synced", 2)
    const log = await rig.agrees({ wrote: writes.ids })
    assert.notStrictEqual(await created(), before)
    assert.isTrue(log.every(({ verb }) => verb === "added"))
    await writes.change(names("wiped", 10))
    await rig.agrees({ wrote: writes.ids })
  })

  const backUp = async (to: string) => {
    await stop()
    rmSync(to, { recursive: true, force: true })
    cpSync(rig.nats.storeDir, to, { recursive: true })
    await start()
  }
  const restore = async (from: string) => {
    await stop()
    rmSync(rig.nats.storeDir, { recursive: true })
    cpSync(from, rig.nats.storeDir, { recursive: true })
    await start()
  }

  it("is put back to an older copy begins a new log", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    await writes.create(names("copied", 10))
    await rig.agrees({ wrote: writes.ids })
    const copy = `${rig.nats.storeDir}-copy`
    await backUp(copy)
    await writes.change(names("copied", 10))
    await writes.remove(["copied-0"])
    await rig.agrees({ wrote: writes.ids })
    const before = await created()
    await restore(copy)
    await bridge.says("Synced", 2)
    await rig.agrees()
    assert.notStrictEqual(await created(), before)
    assert.match((await bridge.says("SteppedDown")).message, /went back in time/)
  })

  it("is put back to an older copy that others have filled up since is not taken for the same", async () => {
    const bridge = rig.spawn()
    await bridge.says("Synced")
    await writes.create(names("filled", 10))
    await rig.agrees({ wrote: writes.ids })
    const copy = `${rig.nats.storeDir}-copy`
    await backUp(copy)
    await writes.change(names("filled", 10))
    await rig.agrees({ wrote: writes.ids })
    const before = await created()
    const sequence = await rig.lastSequence()
    bridge.signal("SIGSTOP")
    await restore(copy)
    const tick = () => rig.client.js.publish("kube.tick.some-function", "")
    await until("the log to be longer than it was", async () => (await tick()).seq > sequence)
    bridge.signal("SIGCONT")
    await bridge.says("Synced", 2)
    await rig.agrees()
    assert.notStrictEqual(await created(), before)
  })

  it("is wiped while a bridge waits for another one that dies as well finds its way back", async () => {
    const active = rig.spawn()
    await active.says("Synced")
    const waiting = await rig.start()
    await waiting.says("Standby")
    await stop()
    await active.kill("SIGKILL")
    rmSync(rig.nats.storeDir, { recursive: true })
    await start()
    await waiting.says("Synced")
    await rig.agrees()
  })

  it.each(["kube", "bridge"])("loses the bucket %s alone makes it again", async (bucket) => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const before = await created()
    await rig.client.jsm.streams.delete(`KV_${bucket}`)
    await writes.create(names(`without-${bucket}`, 5))
    await bridge.says("Synced", 2)
    await rig.agrees({ wrote: writes.ids })
    assert.strictEqual(await created(), before)
  })

  it("has let old events go still knows every object, and takes their next ones", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    await writes.create(names("aged", 20))
    await rig.agrees({ wrote: writes.ids })
    await rig.client.jsm.streams.purge("KUBE")
    await writes.change(names("aged", 10))
    await writes.remove(["aged-19"])
    const events = () => rig.client.jsm.streams.info("KUBE").then(({ state }) => state.messages)
    await until("the changes in the log", async () => (await events()) === 11)
    await bridge.stop()
    await rig.client.jsm.streams.purge("KUBE")
    const after = await rig.start()
    await after.says("Synced")
    assert.strictEqual((await after.says("Listed")).published, 0)
    await rig.agrees()
  })
})
