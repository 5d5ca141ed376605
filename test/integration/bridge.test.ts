import { Kvm } from "@nats-io/kv"
import { afterAll, afterEach, assert, beforeAll, it } from "vitest"
import type { KindId } from "../../runtime/Kind.ts"
import { BridgeRig } from "../support/bridge.ts"
import { withParts } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { ConfigMaps, names, Services, Writes } from "../support/writes.ts"

const ClusterRoles: KindId = {
  group: "rbac.authorization.k8s.io",
  version: "v1",
  kind: "ClusterRole",
  plural: "clusterroles",
  namespaced: false
}

withParts("what the bridge writes to NATS", (shared) => {
  let rig: BridgeRig
  let namespace: string
  beforeAll(async () => {
    rig = await BridgeRig.open(shared)
    namespace = await rig.cluster.namespace("bridge-format")
  })
  afterEach(() => rig.stopAll())
  afterAll(() => rig.close())

  const eventOf = async (subject: string) => {
    const read = () => rig.client.jsm.direct.getMessage("KUBE", { last_by_subj: subject })
    return await until(`an event ${subject}`, read)
  }
  const bucket = () => new Kvm(rig.client.js).open("kube")

  it("is a CloudEvent with the object without managedFields, and says who changed it and when", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const metadata = { namespace, name: "told" }
    const made = await rig.cluster.create(ConfigMaps, { metadata, data: { some: "data" } })
    const { uid, resourceVersion, creationTimestamp } = made.metadata
    const event = await eventOf(`kube.core.configmaps.${namespace}.told.added`)
    const header = (name: string) => event.header.get(name)
    assert.strictEqual(header("ce-specversion"), "1.0")
    assert.strictEqual(header("ce-id"), `${uid}.${resourceVersion}`)
    assert.strictEqual(header("Nats-Msg-Id"), header("ce-id"))
    assert.strictEqual(header("ce-type"), "ext.ipcontroller.kube.configmap.added")
    assert.strictEqual(header("ce-source"), shared.server)
    assert.strictEqual(header("ce-subject"), `configmaps/${namespace}/told`)
    assert.isBelow(Math.abs(Date.parse(header("ce-time")) - Date.now()), 60_000)
    assert.strictEqual(header("ce-uid"), uid)
    assert.strictEqual(header("ce-resourceversion"), resourceVersion)
    assert.strictEqual(header("ce-manager"), "test")
    assert.strictEqual(header("ce-operation"), "Update")
    assert.strictEqual(header("ce-changedat"), creationTimestamp)
    assert.strictEqual(header("content-type"), "application/json")
    assert.match(header("traceparent"), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    assert.isFalse(event.header.has("ce-synthesized"))
    assert.isFalse(event.header.has("KV-Operation"))
    const { managedFields, ...rest } = made.metadata
    assert.isNotEmpty(managedFields)
    assert.deepStrictEqual(event.json(), { ...made, metadata: rest })
  })

  it("tells generation, and a manager with letters of any language, of kinds that have them", async () => {
    const bridge = await rig.start({ kinds: [Services] })
    await bridge.says("Synced")
    const ports = [{ port: 80 }]
    const metadata = { namespace, name: "manager" }
    await rig.cluster.create(Services, { metadata, spec: { clusterIP: "None", ports } })
    await rig.cluster.kubectl(
      `annotate service manager -n ${namespace} external-ip=auto --field-manager=übung`
    )
    const event = await eventOf(`kube.core.services.${namespace}.manager.modified`)
    assert.strictEqual(decodeURIComponent(event.header.get("ce-manager")), "übung")
    await rig.agrees({ kinds: [Services] })
  })

  it("ends an object's life with a DEL that lives as long as the log", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const writes = new Writes(rig.cluster, namespace)
    await writes.create(["short-lived"])
    await writes.remove(["short-lived"])
    const event = await eventOf(`kube.core.configmaps.${namespace}.short-lived.deleted`)
    assert.strictEqual(event.header.get("KV-Operation"), "DEL")
    const { config } = await rig.client.jsm.streams.info("KUBE")
    assert.strictEqual(event.header.get("Nats-TTL"), `${config.max_age / 1e9}s`)
    assert.strictEqual(event.header.get("Nats-Msg-Id"), writes.idOfDeletion("short-lived"))
    assert.isFalse(event.header.has("ce-synthesized"))
    const log = await rig.agrees({ wrote: writes.ids })
    const [added, deleted] = log.filter(({ key }) => key.endsWith(".short-lived"))
    assert.isAbove(Number(deleted!.resourceVersion), Number(added!.resourceVersion))
  })

  it("has names with dots and colons as one token each, and cluster-scoped objects in the namespace _", async () => {
    const bridge = await rig.start({ kinds: [ConfigMaps, ClusterRoles] })
    await bridge.says("Synced", 2)
    await rig.cluster.create(ConfigMaps, { metadata: { namespace, name: "node-1.example.com" } })
    await rig.cluster.create(ClusterRoles, { metadata: { name: "a:b_c.d" }, rules: [] })
    await eventOf(`kube.core.configmaps.${namespace}.node-1_example_com.added`)
    await eventOf("kube.rbac_authorization_k8s_io.clusterroles._.a=3Ab=5Fc_d.added")
    await rig.agrees({ kinds: [ConfigMaps, ClusterRoles] })
    await rig.cluster.delete(ClusterRoles, { namespace: "", name: "a:b_c.d" })
    await rig.agrees({ kinds: [ConfigMaps, ClusterRoles] })
  })

  it("is a bucket for every client of NATS: get, keys and watch", async () => {
    const bridge = await rig.start()
    await bridge.says("Synced")
    const kv = await bucket()
    const writes = new Writes(rig.cluster, namespace)
    await writes.create(names("kv", 2))
    const key = (name: string) => `core.configmaps.${namespace}.${name}`
    const value = async (name = "kv-0") =>
      (await kv.get(key(name)))?.json<{ data: { value: string } }>().data.value
    for (const name of names("kv", 2)) {
      await until(`${name} in the bucket`, async () => (await value(name)) === "first")
    }
    const watch = await kv.watch({ key: `core.configmaps.${namespace}.*`, include: "updates" })
    const seen: Array<string> = []
    const watching = (async () => {
      for await (const entry of watch) seen.push(`${entry.operation} ${entry.key}`)
    })()
    await writes.change(["kv-0"], "second")
    await until("the change in the bucket", async () => (await value()) === "second")
    await writes.remove(["kv-0"])
    await until("the watch to see it all", () => seen.length === 2, { last: () => seen })
    assert.deepStrictEqual(seen, [`PUT ${key("kv-0")}`, `DEL ${key("kv-0")}`])
    const keys: Array<string> = []
    for await (const one of await kv.keys(`core.configmaps.${namespace}.*`)) keys.push(one)
    assert.include(keys, key("kv-1"))
    assert.notInclude(keys, key("kv-0"))
    watch.stop()
    await watching
  })

  it("is nothing at all when it is started again and the cluster has not changed", async () => {
    const before = await rig.start()
    await before.says("Synced")
    const writes = new Writes(rig.cluster, namespace)
    await writes.create(names("unchanged", 300))
    await rig.agrees({ wrote: writes.ids })
    await before.stop()
    const sequence = await rig.lastSequence()
    const after = await rig.start()
    await after.says("Synced")
    const listed = await after.says("Listed")
    assert.isAtLeast(listed.objects, 300)
    assert.strictEqual(listed.published, 0)
    assert.strictEqual(await rig.lastSequence(), sequence)
  })

  it("says of every deletion that came to pass while no bridge ran that it was not seen", async () => {
    const before = await rig.start()
    await before.says("Synced")
    const writes = new Writes(rig.cluster, namespace)
    await writes.create(names("offline", 20))
    await rig.agrees({ wrote: writes.ids })
    await before.stop()
    await writes.remove(names("offline", 10))
    await rig.cluster.create(ConfigMaps, { metadata: { namespace, name: "offline-0" } })
    const after = await rig.start()
    await after.says("Synced")
    const log = await rig.agrees({ wrote: writes.ids })
    const gone = log.filter(({ synthesized }) => synthesized)
    assert.deepStrictEqual(
      gone.map(({ id }) => id).sort(),
      names("offline", 10)
        .map((name) => writes.idOfDeletion(name))
        .sort()
    )
    assert.isTrue(gone.every(({ verb }) => verb === "deleted"))
  })
})
