import { afterAll, afterEach, assert, beforeAll, beforeEach, it } from "vitest"
import { BridgeRig } from "../support/bridge.ts"
import { withParts } from "../support/parts.ts"
import { TcpProxy } from "../support/proxy.ts"
import { until } from "../support/until.ts"
import { names, Writes } from "../support/writes.ts"

const leaseSeconds = 2
const dedupeSeconds = 1

withParts("of two bridges", (shared) => {
  let rig: BridgeRig
  let writes: Writes
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    writes = new Writes(rig.cluster, await rig.cluster.namespace("bridge-pair"))
  })
  beforeEach(() => writes.forget())
  afterEach(() => rig.stopAll())
  afterAll(() => rig.close())

  const options = { leaseSeconds, dedupeSeconds }

  it("one is active; the other takes over when it is killed, and no event is there twice", async () => {
    const first = rig.spawn(options)
    await first.says("Synced")
    const second = rig.spawn(options)
    await second.says("Standby")
    await writes.create(names("handed", 100))
    const changing = (async () => {
      while (second.count("Active") === 0) await writes.change(names("handed", 100))
    })()
    await until("some of it in the log", async () => (await rig.lastSequence()) > 150)
    assert.strictEqual(second.count("Active"), 0)
    await first.kill("SIGKILL")
    await second.says("Active", 1, leaseSeconds + 3)
    // How long it takes from there to have read and compared everything is the machine's affair.
    await second.says("Synced")
    await changing
    await writes.remove(names("handed", 50))
    await rig.agrees()
  })

  it("the other takes over at once when the active one is told to end", async () => {
    const first = rig.spawn({ ...options, leaseSeconds: 30 })
    await first.says("Synced")
    const second = rig.spawn({ ...options, leaseSeconds: 30 })
    await second.says("Standby")
    await first.kill("SIGTERM")
    assert.strictEqual(first.child.exitCode, 0)
    await second.says("Synced", 1, 5)
    assert.strictEqual((await second.says("Listed")).published, 0)
    await rig.agrees()
  })

  it("one that was frozen, and goes on beside its successor, puts nothing over what is newer", async () => {
    // What is written below must reach the bridge while the lease, which it cannot renew, is its own.
    const long = { ...options, leaseSeconds: 8 }
    const proxy = await TcpProxy.open(rig.nats.port)
    const first = rig.spawn(long, proxy.port)
    await first.says("Synced")
    const second = rig.spawn(long)
    await second.says("Standby")
    const all = names("frozen", 50)
    await writes.create(all)
    await rig.agrees({ wrote: writes.ids })
    // What it sends from now on arrives when everything is over.
    proxy.behave({ _tag: "HoldClient" })
    await writes.change(all)
    await writes.create(names("fresh", 20))
    await until("it to have sent that", () => proxy.held > 50_000, { last: () => proxy.held })
    first.signal("SIGSTOP")
    const frozen = performance.now()
    await second.says("Synced")
    await rig.agrees({ wrote: [] })
    await writes.change(all.slice(0, 25))
    await writes.remove(all.slice(40))
    await rig.agrees()
    await until("the dedupe window to be over", () => performance.now() - frozen > 3_000 * dedupeSeconds)
    const sequence = await rig.lastSequence()
    proxy.behave({ _tag: "Pass" })
    first.signal("SIGCONT")
    assert.match((await first.says("SteppedDown")).message, /another bridge has become the active one/)
    assert.strictEqual(await rig.lastSequence(), sequence)
    await writes.change(all.slice(0, 40))
    await rig.agrees()
    assert.strictEqual(first.count("Active"), 1)
    await proxy.close()
  })
})
