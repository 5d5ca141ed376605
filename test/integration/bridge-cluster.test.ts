import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { afterAll, afterEach, assert, beforeAll, it } from "vitest"
import { type OwnControlPlane, ownControlPlane } from "../../infra/local/index.ts"
import { readIncarnation } from "../../runtime/nats/streams.ts"
import { BridgeRig } from "../support/bridge.ts"
import { Etcd } from "../support/etcd.ts"
import { FrontDoor } from "../support/frontDoor.ts"
import { withOwnControlPlane } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { ConfigMaps, names, Writes } from "../support/writes.ts"

withOwnControlPlane("a bridge whose cluster", () => {
  const scope = Scope.makeUnsafe()
  let plane: OwnControlPlane
  let etcd: Etcd
  let rig: BridgeRig
  let writes: Writes
  beforeAll(async () => {
    plane = await Effect.runPromise(ownControlPlane().pipe(Scope.provide(scope)))
    etcd = new Etcd(plane)
    rig = await BridgeRig.open(plane)
    writes = new Writes(rig.cluster, await rig.cluster.namespace("bridge-cluster"))
  })
  afterEach(() => rig.stopAll())
  afterAll(async () => {
    await rig.close()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("has its API server killed finds what was changed and deleted before there was one again", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    await writes.create(names("kept", 20))
    const older = await etcd.read(writes.namespace, "kept-9")
    await writes.change(names("kept", 20))
    await rig.agrees({ wrote: writes.ids })
    await Effect.runPromise(plane.apiServer.kill("SIGKILL"))
    await etcd.remove(writes.namespace, "kept-0")
    await etcd.remove(writes.namespace, "kept-1")
    await etcd.write(writes.namespace, "kept-9", older)
    await Effect.runPromise(plane.apiServer.start)
    await bridge.says("Synced", 2)
    const log = await rig.agrees({ wrote: writes.ids })
    const found = log.filter(({ synthesized }) => synthesized).map(({ id }) => id)
    assert.deepStrictEqual(
      found.sort(),
      [writes.idOfDeletion("kept-0"), writes.idOfDeletion("kept-1")].sort()
    )
    assert.strictEqual(log.filter(({ key }) => key.endsWith(".kept-9")).length, 3)
    assert.strictEqual(bridge.count("Active"), 1)
  })

  it("has forgotten the version that it had seen last lists again, and synthesizes the deletions", async () => {
    const door = await FrontDoor.open(rig.cluster.access)
    const bridge = await rig.start({ cluster: door.access })
    await bridge.says("Synced")
    await writes.create(names("compacted", 20))
    await rig.agrees({ wrote: writes.ids })
    door.instead = () => ({ status: 429, headers: { "retry-after": "1" } })
    door.endOpen()
    await writes.remove(names("compacted", 5))
    await writes.change(names("compacted", 20).slice(5))
    // Its watch cache would still know.
    await Effect.runPromise(plane.apiServer.kill("SIGKILL"))
    await etcd.compact()
    await Effect.runPromise(plane.apiServer.start)
    const before = bridge.news.length
    door.instead = () => undefined
    await bridge.says("Synced", 2)
    const troubles = bridge.news.slice(before).filter((news) => news._tag === "Trouble")
    assert.match(troubles[0]?.message ?? "", /too old resource version/)
    const log = await rig.agrees({ wrote: writes.ids })
    const gone = log.filter(({ key, verb }) => verb === "deleted" && key.includes(".compacted-"))
    assert.strictEqual(gone.length, 5)
    assert.isTrue(gone.every(({ synthesized }) => synthesized))
    await door.close()
  })

  it("is restored from a backup begins a new life of the log, with what the backup has", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const listed = bridge.count("Listed")
    await writes.create(names("backed-up", 10))
    const backup = join(plane.directory, "backup")
    await etcd.backUp(backup)
    await writes.create(names("too-late", 10))
    await writes.change(names("backed-up", 10))
    await writes.remove(["backed-up-0"])
    await rig.agrees()
    const before = await readIncarnation(rig.client.jsm)
    await etcd.restore(backup)
    await bridge.says("Active", 2, 30)
    await bridge.says("Synced", listed + 1)
    assert.match(
      (await bridge.says("SteppedDown")).message,
      /configmaps: the API server is at \d+, it was at \d+/
    )
    const log = await rig.agrees()
    const after = await readIncarnation(rig.client.jsm)
    assert.notStrictEqual(after?.created, before?.created)
    const keys = log.map(({ key }) => key.split(".").at(-1))
    assert.include(keys, "backed-up-0")
    assert.notInclude(keys, "too-late-0")
    await writes.change(names("backed-up", 10))
    await rig.agrees()
  })

  it("is restored while no bridge runs is known by its versions", async () => {
    const backup = join(plane.directory, "backup")
    const bridge = await rig.start()
    await bridge.says("Synced")
    await etcd.backUp(backup)
    await writes.create(names("unseen", 10))
    await rig.agrees()
    await bridge.stop()
    const before = await readIncarnation(rig.client.jsm)
    await etcd.restore(backup)
    // It is past the last list by then, but not past the last event.
    await rig.cluster.create(ConfigMaps, { metadata: { namespace: writes.namespace, name: "instead" } })
    const after = await rig.start()
    await after.says("Synced")
    await rig.agrees()
    assert.notStrictEqual((await readIncarnation(rig.client.jsm))?.created, before?.created)
  })

  it("is restored while no bridge runs, and past what it was, is known by an object that is there again", async () => {
    const backup = join(plane.directory, "backup")
    await writes.create(["back-again"])
    const bridge = await rig.start()
    await bridge.says("Synced")
    await etcd.backUp(backup)
    await writes.remove(["back-again"])
    await rig.agrees()
    await bridge.stop()
    const before = await readIncarnation(rig.client.jsm)
    let grown = 0
    const version = async () => {
      const metadata = { namespace: writes.namespace, name: `growth-${++grown}` }
      return Number((await rig.cluster.create(ConfigMaps, { metadata })).metadata.resourceVersion)
    }
    const last = await version()
    await etcd.restore(backup)
    await until("the cluster to be past what it was", async () => (await version()) > last, { seconds: 60 })
    const after = await rig.start()
    await after.says("Synced")
    const log = await rig.agrees()
    assert.include(
      log.map(({ key }) => key.split(".").at(-1)),
      "back-again"
    )
    assert.notStrictEqual((await readIncarnation(rig.client.jsm))?.created, before?.created)
    assert.match((await after.says("SteppedDown")).message, /back-again is there at \d+, it was gone at \d+/)
  })
})
