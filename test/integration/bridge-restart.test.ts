import { afterAll, afterEach, assert, beforeAll, beforeEach, it } from "vitest"
import { BridgeRig } from "../support/bridge.ts"
import { withParts } from "../support/parts.ts"
import { ConfigMaps, names, Writes } from "../support/writes.ts"

withParts("a bridge that is started again", (shared) => {
  let rig: BridgeRig
  let writes: Writes
  let namespace: string
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    namespace = await rig.cluster.namespace("bridge-restart")
  })
  beforeEach(() => {
    writes = new Writes(rig.cluster, namespace)
  })
  afterEach(() => rig.stopAll())
  afterAll(() => rig.close())

  /** What came to pass while no bridge ran, and how many events the next one made of it. */
  const whileAway = async (prefix: string, act: () => Promise<void>): Promise<number> => {
    const before = await rig.start()
    await before.says("Synced")
    await writes.create(names(prefix, 250))
    await rig.agrees({ wrote: writes.ids })
    await before.stop()
    await act()
    const after = await rig.start({ times: { pageSize: 100 } })
    await after.says("Synced")
    const { objects, published } = await after.says("Listed")
    assert.isAtLeast(objects, 200)
    await rig.agrees({ wrote: writes.ids })
    await after.stop()
    return published
  }

  it("publishes the few objects that were changed, made, deleted, and made again, and nothing else", async () => {
    const published = await whileAway("few", async () => {
      await writes.change(names("few", 13).slice(10))
      await writes.create(names("few-and-new", 2))
      await writes.remove(names("few", 5))
      await rig.cluster.create(ConfigMaps, { metadata: { namespace, name: "few-0" } })
    })
    // Three changed, two new, five gone, one of which is there again.
    assert.strictEqual(published, 3 + 2 + 5 + 1)
  })

  it("publishes many as well as few", async () => {
    assert.strictEqual(await whileAway("many", () => writes.change(names("many", 180))), 180)
  })
})
