import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { repository } from "../support/cluster.ts"
import { ConfigMap, ConfigMaps } from "../support/configMaps.ts"
import { withParts } from "../support/parts.ts"
import { extip } from "../support/programs.ts"
import { Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

withParts("extip functions", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  /** A folder that is no part of this package, as a user's is. */
  let elsewhere: string

  const run = (...args: ReadonlyArray<string>) =>
    extip(["functions", "--kubeconfig", stack.cluster.kubeconfig, "--nats", stack.nats.url, ...args])
  const refused = async (args: ReadonlyArray<string>) => {
    const { code, out, error } = await run(...args)
    expect(code).toBe(1)
    return out + error
  }

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("cli-from"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.cluster.applyCrds()
    elsewhere = mkdtempSync(join(tmpdir(), "extip-functions-"))
    cpSync(join(repository, "test/fixtures/functions"), elsewhere, { recursive: true })
  })
  afterAll(async () => {
    await stack?.close()
    rmSync(elsewhere, { recursive: true, force: true })
  })

  it("hosts functions of the user's own beside ours, from a folder that is no part of the package", async () => {
    const bridge = await stack.program("bridge", ["--from", elsewhere])
    const host = await stack.program("functions", ["--from", elsewhere])
    await Promise.all([bridge.ready(), host.ready()])
    await maps.create("labelled")
    await until("the label", async () => {
      const map = await stack.cluster.get(ConfigMap, maps.ref("labelled"))
      return map?.metadata.labels?.seen === "yes"
    })
    const names: Array<string> = []
    for await (const { name, config } of stack.client.jsm.consumers.list("KUBE")) {
      if (config.durable_name !== undefined) names.push(name)
    }
    expect(names).toEqual(expect.arrayContaining(["allocate-on-annotate", "label-on-create", "sweep"]))
    expect(await Promise.all([host.kill("SIGTERM"), bridge.kill("SIGTERM")])).toEqual([0, 0])
  })

  it("hosts the named ones only, and asks the bridge for no more than these read", async () => {
    const only = ["--from", elsewhere, "--only", "label-on-create"]
    const bridge = await stack.program("bridge", only)
    const host = await stack.program("functions", only)
    await Promise.all([bridge.ready(), host.ready()])
    await maps.create("alone")
    await until("the label", async () => {
      const map = await stack.cluster.get(ConfigMap, maps.ref("alone"))
      return map?.metadata.labels?.seen === "yes"
    })
    expect(bridge.log()).not.toContain("listed services")
    await Promise.all([host.kill("SIGTERM"), bridge.kill("SIGTERM")])
  })

  it("names the functions there are when one is asked for that is not", async () => {
    expect(await refused(["--only", "sweep,swep"])).toContain(
      "--only swep: there is no such function; there are validate-pool, allocate-on-annotate"
    )
  })

  it("says that two functions have one name", async () => {
    const file = "label-on-create/function.ts"
    const copy = join(elsewhere, "label-on-update")
    cpSync(join(elsewhere, "label-on-create"), copy, { recursive: true })
    expect(await refused(["--from", elsewhere])).toContain(
      'two functions are named "label-on-create"; a name must be the function\'s own'
    )
    const text = readFileSync(join(elsewhere, file), "utf8")
    writeFileSync(join(copy, "function.ts"), text.replaceAll("label-on-create", "Label_On_Update"))
    expect(await refused(["--from", elsewhere])).toContain(
      'function "Label_On_Update": a name is lower-case words joined by dashes'
    )
    writeFileSync(
      join(copy, "function.ts"),
      text.replace("label-on-create", "label-on-update").replace("read(ConfigMap), ", "")
    )
    expect(await refused(["--from", elsewhere])).toContain(
      'function "label-on-update": it is woken by or for ConfigMap, so "needs" must contain read(ConfigMap)'
    )
    rmSync(copy, { recursive: true })
  })

  it("says that a function of the user's own declares anew what ours read, unless it is hosted apart", async () => {
    const folder = join(elsewhere, "note-on-change")
    mkdirSync(folder)
    writeFileSync(
      join(folder, "function.ts"),
      readFileSync(join(elsewhere, "label-on-create/function.ts"), "utf8")
        .replaceAll("label-on-create", "note-on-change")
        .replace('kind: "ConfigMap",\n  plural: "configmaps"', 'kind: "Service",\n  plural: "services"')
    )
    expect(await refused(["--from", folder])).toContain(
      'functions "allocate-on-annotate" and "note-on-change" declare services in different shapes, and a host holds one'
    )
    const only = ["--from", folder, "--only", "note-on-change"]
    const host = await stack.program("functions", only)
    const bridge = await stack.program("bridge", ["--from", folder])
    await Promise.all([bridge.ready(), host.ready()])
    expect(await Promise.all([host.kill("SIGTERM"), bridge.kill("SIGTERM")])).toEqual([0, 0])
    // The one of extip/kinds is the one that ours have.
    const text = readFileSync(
      new URL("../../infra/examples/functions/target-on-allocate/function.ts", import.meta.url)
    )
    writeFileSync(join(folder, "function.ts"), text)
    const beside = await stack.program("functions", ["--from", folder])
    await until("the host to be there", async () => beside.log().includes("health and metrics"))
    expect(await beside.kill("SIGTERM")).toBe(0)
    rmSync(folder, { recursive: true })
  })

  it("says that there is nothing to load where there is not", async () => {
    expect(await refused(["--from", join(elsewhere, "nowhere")])).toContain("there is no such folder")
    expect(await refused(["--from", join(repository, "infra")])).toContain(
      "no <verb-on-event>/function.ts in it"
    )
  })

  it("says at start which verb the credentials lack, and for which function", async () => {
    const { cluster } = stack
    const account = "cli-lacking"
    await cluster.kubectl(`delete --ignore-not-found -n default serviceaccount/${account}`)
    await cluster.kubectl(`delete --ignore-not-found clusterrole/${account} clusterrolebinding/${account}`)
    await cluster.kubectl(`create serviceaccount ${account}`)
    await cluster.kubectl(`create clusterrole ${account} --verb=get,list,watch --resource=configmaps`)
    const binding = `--clusterrole=${account} --serviceaccount=default:${account}`
    await cluster.kubectl(`create clusterrolebinding ${account} ${binding}`)
    const token = await cluster.kubectl(`create token ${account}`)
    const kubeconfig = join(elsewhere, "kubeconfig")
    const admin = readFileSync(cluster.kubeconfig, "utf8")
    writeFileSync(kubeconfig, admin.replace(/token: .*/, `token: ${token}`))
    const only = ["--from", elsewhere, "--only", "label-on-create", "--kubeconfig", kubeconfig]
    const ran = await extip(["functions", "--nats", stack.nats.url, ...only])
    expect(ran.code).toBe(1)
    expect(ran.out + ran.error).toContain(
      "our credentials lack a permission; add a rule to the role: patch configmaps (for label-on-create)"
    )
  })
})
