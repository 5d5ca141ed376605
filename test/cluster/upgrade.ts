import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { expect, it } from "@effect/vitest"
import { missedOf } from "../support/machines/client.ts"
import { sourcesOf } from "../support/machines/images.ts"
import { commandsBelow } from "./commands.ts"
import type { Ground } from "./ground.ts"
import { pool, service } from "./service.ts"

const previous = "extip:previous"

/** From the commit before this one to this one, while clients ask and Services come. */
export const upgrading = (ground: Ground): void => {
  it("from the previous commit to this one is not noticed, and every Service that comes meanwhile is served", async (context) => {
    const { cluster, extip, client } = ground()
    const sources = sourcesOf(cluster.directory, "HEAD~1")
    if (sources === undefined) return context.skip("the history of this clone has no commit before this one")
    const { archive } = await cluster.ourImage(previous, sources)
    for (const node of cluster.nodes) await node.importImage(archive)
    const overlay = join(sources, "previous")
    mkdirSync(overlay)
    const [name, newTag] = previous.split(":")
    writeFileSync(
      join(overlay, "kustomization.yaml"),
      JSON.stringify({ resources: ["../infra/deploy"], images: [{ name, newTag }] })
    )
    await cluster.kubectl(["apply", "-k", overlay])
    await extip.rolledOut()
    expect(await extip.images()).toEqual([previous])
    await cluster.kubectl("apply -f -", pool("upgrade", "192.168.0.160/27"))
    const before = await extip.holders()
    const load = await client.load([...before.keys()])

    const come: Array<string> = []
    let coming = true
    const services = (async () => {
      while (coming && come.length < 25) {
        const name = `come-${come.length + 1}`
        const annotations = { "external-ip": "auto", "external-ip-pool": "upgrade" }
        await cluster.kubectl("apply -f -", service(name, {}, annotations))
        come.push(name)
        await sleep(500)
      }
    })()
    // README, "Updating".
    await cluster.shell("kubectl apply -k infra/deploy")
    await extip.rolledOut()
    coming = false
    await services
    expect(await extip.images()).toEqual(["extip:0.1.0"])
    for (const name of come) await client.answered(await extip.bound(name))
    expect(missedOf(await load.stop())).toEqual([])
    const after = await extip.holders()
    expect(new Map([...before.keys()].map((address) => [address, after.get(address)]))).toEqual(before)
    await extip.whole()
    await cluster.kubectl(["delete", "service", ...come])
    await extip.whole()
    expect(await extip.restarts()).toEqual([])
  })

  it("of the passwords of NATS moves nothing and is not noticed", async () => {
    const { cluster, extip, client } = ground()
    const before = await extip.holders()
    const load = await client.load([...before.keys()])
    await cluster.shell(commandsBelow("Deploying", "rollout restart deployment\n"))
    await extip.rolledOut()
    await cluster.kubectl("apply -f -", service("renewed", {}, { "external-ip": "auto" }))
    await client.answered(await extip.bound("renewed"))
    expect(missedOf(await load.stop())).toEqual([])
    await cluster.kubectl("delete service renewed")
    await extip.whole()
    expect(await extip.holders()).toEqual(before)
  })

  it("to nothing leaves the Services their addresses, and deployed again they keep them, whoever came meanwhile", async () => {
    const { cluster, extip, client } = ground()
    const shown = await extip.shown("web")
    const pools = (await cluster.get("ippool")).items.map(({ metadata, spec, ...kind }: any) => ({
      apiVersion: kind.apiVersion,
      kind: kind.kind,
      metadata: { name: metadata.name },
      spec
    }))
    const kinds = ["ipclaimpools", "ipclaims", "ipnodes"].map((name) => `${name}.ipcontroller.ext`)
    await cluster.shell(commandsBelow("Deploying", "kubectl delete -k infra/deploy"))
    const left = await cluster.kubectl("get crd,clusterrole,namespace -o name")
    for (const gone of [...kinds, "extip-functions", "extip-system"]) expect(left).not.toContain(gone)
    expect(await extip.shown("web")).toEqual(shown)
    // It would be given the lowest one, if that were free.
    await cluster.kubectl("apply -f -", service("latecomer", {}, { "external-ip": "auto" }))
    await cluster.shell(commandsBelow("Deploying", "kubectl apply -k infra/deploy\n"))
    await extip.rolledOut()
    const list = { apiVersion: "v1", kind: "List", items: pools }
    await cluster.kubectl("apply -f -", JSON.stringify(list))
    const other = await extip.bound("latecomer")
    expect(shown).not.toContain(other)
    expect(await extip.bound("web")).toBe(shown[0])
    await extip.whole()
    expect(await extip.shown("web")).toEqual(shown)
    await client.answered(shown[0]!)
    await client.answered(other)
    await cluster.kubectl("delete service latecomer")
    await extip.whole()
  })
}
