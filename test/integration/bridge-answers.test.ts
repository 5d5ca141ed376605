import { afterAll, afterEach, assert, beforeAll, beforeEach, it } from "vitest"
import { BridgeRig } from "../support/bridge.ts"
import { type Asked, FrontDoor, type Instead } from "../support/frontDoor.ts"
import { withParts } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { ConfigMaps, names, Services, Writes } from "../support/writes.ts"

const tooMany = (seconds: number): Instead => ({ status: 429, headers: { "retry-after": `${seconds}` } })
const expired: Instead = {
  status: 410,
  body: {
    kind: "Status",
    reason: "Expired",
    code: 410,
    message: "the provided continue parameter is too old"
  }
}

withParts("what the API server answers the bridge", (shared) => {
  let rig: BridgeRig
  let door: FrontDoor
  let writes: Writes
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    writes = new Writes(rig.cluster, await rig.cluster.namespace("bridge-answers"))
  })
  beforeEach(async () => {
    door = await FrontDoor.open(rig.cluster.access)
    writes.forget()
  })
  afterEach(async () => {
    await rig.stopAll()
    await door.close()
  })
  afterAll(() => rig.close())

  /** Answers this once to the first request that is meant. */
  const once = (answer: Instead, isMeant: (asked: Asked) => boolean) => {
    let given = false
    door.instead = (asked) => {
      if (given || !isMeant(asked)) return undefined
      given = true
      return answer
    }
  }

  it("429 with Retry-After to a list: it asks again when it may, and not before", async () => {
    once(tooMany(2), ({ isWatch }) => !isWatch)
    const bridge = await rig.start({ cluster: door.access })
    await bridge.says("Synced")
    const [refused, answered] = door.lists("configmaps")
    assert.isAtLeast(answered!.at - refused!.at, 2_000)
    await rig.agrees()
  })

  it("429 with Retry-After to a watch: it goes on where it was, without a list", async () => {
    once(tooMany(1), ({ isWatch }) => isWatch)
    const bridge = await rig.start({ cluster: door.access })
    await bridge.says("Synced")
    await writes.create(names("busy", 5))
    await writes.change(names("busy", 5))
    await rig.agrees({ wrote: writes.ids })
    const [refused, answered] = door.watches("configmaps")
    assert.isAtLeast(answered!.at - refused!.at, 1_000)
    assert.strictEqual(bridge.count("Listed"), 1)
  })

  it("pages of a list: it reads them all, at one version", async () => {
    await writes.create(names("paged", 23))
    const bridge = await rig.start({ cluster: door.access, times: { pageSize: 5 } })
    await bridge.says("Synced")
    await rig.agrees({ wrote: writes.ids })
    const { objects } = await bridge.says("Listed")
    const lists = door.lists("configmaps")
    assert.strictEqual(lists.length, Math.ceil(objects / 5))
    assert.isTrue(lists.every(({ query }) => query.get("limit") === "5" && !query.has("resourceVersion")))
    assert.isTrue(lists.slice(1).every(({ query }) => query.has("continue")))
  })

  it("410 to a page whose token is too old: it begins the list again and publishes nothing twice", async () => {
    await writes.change(names("paged", 23))
    let pages = 0
    once(expired, ({ query }) => query.has("continue") && ++pages === 3)
    const bridge = await rig.start({ cluster: door.access, times: { pageSize: 5 } })
    await bridge.says("Synced")
    assert.strictEqual(bridge.count("Trouble"), 1)
    await rig.agrees({ wrote: writes.ids })
  })

  it("bookmarks: its next watch begins behind everything else that has happened meanwhile", async () => {
    const bridge = await rig.start({
      cluster: door.access,
      kinds: [Services],
      times: { watchSeconds: 3 }
    })
    await bridge.says("Synced")
    await writes.create(names("elsewhere", 20))
    const versions = await until("two more watches", () => {
      const all = door.watches("services").map(({ query }) => Number(query.get("resourceVersion")))
      return all.length >= 3 ? all : undefined
    })
    assert.isTrue(door.watches("services").every(({ query }) => query.get("allowWatchBookmarks") === "true"))
    assert.isAbove(versions.at(-1)!, versions[0]! + 19)
    assert.strictEqual(bridge.count("Listed"), 1)
    await rig.agrees({ kinds: [Services] })
  })

  it("the end of a watch, every second: it loses nothing", async () => {
    const bridge = await rig.start({ cluster: door.access, times: { watchSeconds: 1 } })
    await bridge.says("Synced")
    await writes.create(names("short", 20))
    while (bridge.count("Restarted") < 3) await writes.change(names("short", 20))
    await rig.agrees({ wrote: writes.ids })
    assert.strictEqual(bridge.count("Listed"), 1)
  })

  it("nothing at all of one kind: the other kinds go on", async () => {
    door.instead = ({ path }) => (path.endsWith("/services") ? { status: 403, body: {} } : undefined)
    const bridge = await rig.start({ cluster: door.access, kinds: [Services, ConfigMaps] })
    await until("configmaps to be synced", () =>
      bridge.news.some((news) => news._tag === "Synced" && news.resource === "configmaps")
    )
    await writes.create(names("allowed", 3))
    await rig.agrees({ wrote: writes.ids })
    door.instead = () => undefined
    await bridge.says("Synced", 2)
    await rig.agrees({ kinds: [Services, ConfigMaps] })
  })
})
