import { expect, it } from "@effect/vitest"
import { until } from "../support/until.ts"
import { commandsBelow } from "./commands.ts"
import type { Ground } from "./ground.ts"
import { service } from "./service.ts"

/** From an empty cluster to an address that a client on the LAN reaches. */
export const deploying = (ground: Ground): void => {
  it("is deployed by the README's commands, as they are written, and ready", async () => {
    const { cluster, extip } = ground()
    // It ends with `rollout status`, which waits.
    await cluster.shell(commandsBelow("Deploying", "kubectl apply -k infra/deploy\n"))
    await extip.rolledOut()
    expect(await extip.restarts()).toEqual([])
  })

  it("answers a client outside of the cluster, after the first example of the README", async () => {
    const { cluster, extip, client } = ground()
    await extip.serve("web")
    const using = commandsBelow("Using", "infra/examples/pool.yaml").split("\n")
    // Its first three lines: a pool, a Service, a look.
    for (const line of using.slice(0, 2)) await cluster.shell(line)
    const address = await extip.bound("web")
    expect(address).toBe("192.168.0.249")
    expect(await cluster.shell(using[2]!)).toContain("192.168.0.249")
    const { pod } = await client.answered(address)
    expect(pod).toMatch(/^web-/)
    expect(await extip.broken()).toEqual([])
  })

  it("answers for a Service of type LoadBalancer", async () => {
    const { cluster, extip, client } = ground()
    await cluster.kubectl("apply -f -", service("balanced", { type: "LoadBalancer" }))
    const address = await extip.bound("balanced")
    const { status } = await cluster.get("service balanced")
    expect(status.loadBalancer.ingress).toEqual([{ ip: address, ipMode: "VIP" }])
    expect((await client.answered(address)).pod).toMatch(/^web-/)
  })

  it("answers for an address that the Service's author wrote into externalIPs", async () => {
    const { cluster, extip, client } = ground()
    await cluster.kubectl("apply -f -", service("written", { externalIPs: ["192.168.0.253"] }))
    expect(await extip.bound("written")).toBe("192.168.0.253")
    expect((await client.answered("192.168.0.253")).pod).toMatch(/^web-/)
    await cluster.kubectl("delete service written")
    await until("192.168.0.253 to be free", async () => !(await extip.kernels()).has("192.168.0.253"))
  })

  it("keeps the client's address with externalTrafficPolicy Local, on a node that has a pod", async () => {
    const { cluster, extip, client } = ground()
    const local = { type: "LoadBalancer", externalTrafficPolicy: "Local" }
    await cluster.kubectl("apply -f -", service("local", local))
    const address = await extip.bound("local")
    const answer = await client.answered(address)
    expect(answer.client).toBe("192.168.0.100")
    expect(answer.node).toBe((await extip.holders()).get(address))
    await cluster.kubectl("delete service local")
    await extip.whole()
  })

  it("lets the node runtime into nothing of Kubernetes, and gives it no token", async () => {
    const { cluster, extip } = ground()
    const [pod] = await extip.podsOf("extip-node", "extip-node")
    const found = await cluster.kubectl([
      ..."-n extip-node exec".split(" "),
      pod!.name,
      ..."-- sh -c".split(" "),
      "ls /var/run/secrets/kubernetes.io 2>&1; true"
    ])
    expect(found).toContain("No such file")
    const account = "--as system:serviceaccount:extip-node:extip-node"
    for (const what of ["get services", "get nodes", "get secrets -n extip-system", "delete ipc --all"]) {
      await expect(cluster.kubectl(`${what} ${account}`)).rejects.toThrow("Forbidden")
    }
  })

  it("takes what Node made of its sources from the image, whatever user it runs as", async () => {
    const { cluster, extip } = ground()
    for (const [role, namespace] of [
      ["bridge", "extip-system"],
      ["functions", "extip-system"],
      ["node", "extip-node"]
    ] as const) {
      const [pod] = await extip.podsOf(`extip-${role}`, namespace)
      const told = await cluster.kubectl([
        ...`-n ${namespace} exec`.split(" "),
        pod!.name,
        ..."-- env NODE_DEBUG_NATIVE=COMPILE_CACHE sh -c".split(" "),
        `extip ${role} --help 2>&1`
      ])
      expect(told).toContain(
        "transpile cache for StrippedTypeScript file:///app/runtime/cli/commands.ts...success"
      )
      expect(told).toContain("V8 code cache for ESM file:///app/runtime/cli/commands.ts was accepted")
    }
  })

  it("tells who did what, through a forwarded port", async () => {
    const { cluster } = ground()
    const lines = commandsBelow("Deploying", "extip trace").split("\n")
    // But for `nats`, which is not ours.
    const ours = lines.filter((line) => !line.startsWith("nats "))
    const told = await cluster.shell(["trap 'kill $!' EXIT", ...ours].join("\n"))
    expect(told).toContain("allocate-on-annotate")
    expect(told).toContain("192.168.0.249")
  })

  it("runs a function of one's own from a ConfigMap, with what `extip manifest` makes", async () => {
    const { cluster, extip } = ground()
    await cluster.shell(commandsBelow("Deploying", "extip manifest"))
    const [address] = await extip.shown("web")
    const told = "external-dns.alpha.kubernetes.io/target"
    await until(
      `Service web to have the annotation ${told}`,
      async () => (await cluster.get("service web")).metadata.annotations[told] === address,
      {
        seconds: 30,
        last: async () => await cluster.kubectl("-n extip-system logs deployment/extip-own --tail 5")
      }
    )
    await cluster.kubectl("-n extip-system delete deployment extip-own")
  })
}
