import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { parseAllDocuments, stringify } from "yaml"
import { version } from "../../runtime/cli/version.ts"
import { Cluster, repository } from "../support/cluster.ts"
import { withControlPlane } from "../support/parts.ts"
import { extip } from "../support/programs.ts"

const deploy = join(repository, "infra/deploy")

interface Read {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace: string }
  readonly spec: {
    readonly template: { readonly metadata: object; readonly spec: any }
    readonly volumeClaimTemplates?: ReadonlyArray<{ readonly metadata: { readonly name: string } }>
  }
}

withControlPlane("the manifests", (shared) => {
  let cluster: Cluster
  const built = async (overlay: string) => await cluster.kubectl(["kustomize", join(deploy, overlay)])
  const objects = async (overlay: string) =>
    parseAllDocuments(await built(overlay)).map((document) => document.toJSON() as Read)
  const workloads = async (overlay: string) =>
    (await objects(overlay)).filter(({ kind }) => /^(Deployment|DaemonSet|StatefulSet)$/.test(kind))
  const podOf = ({ metadata, spec }: Read, namespace = metadata.namespace) => {
    const { volumes = [], ...rest } = spec.template.spec
    // A StatefulSet adds those of its claims.
    const claimed = (spec.volumeClaimTemplates ?? []).map((claim) => ({
      name: claim.metadata.name,
      persistentVolumeClaim: { claimName: claim.metadata.name }
    }))
    return stringify({
      apiVersion: "v1",
      kind: "Pod",
      metadata: { ...spec.template.metadata, name: metadata.name, namespace },
      spec: { ...rest, volumes: [...volumes, ...claimed] }
    })
  }
  const dryRun = async (text: string) =>
    await cluster.kubectl("apply --dry-run=server -f -", text).catch((cause) => String(cause))

  beforeAll(async () => {
    cluster = await Cluster.open(shared)
    await cluster.applyCrds()
    // A dry run makes no namespace that what comes after it could be in.
    await cluster.kubectl(["apply", "-f", join(deploy, "base/namespaces.yaml")])
  })
  afterAll(() => cluster?.close())

  it.each(["", "ha", "tls", "external-nats"])(
    "of the overlay %j are taken by the API server",
    async (overlay) => {
      const answer = await cluster.kubectl(["apply", "-k", join(deploy, overlay), "--dry-run=server"])
      const lines = answer.split("\n")
      expect(lines).toHaveLength((await objects(overlay)).length)
      expect(lines.every((line) => line.includes("server dry run"))).toBe(true)
      expect(answer.includes("statefulset.apps/extip-nats")).toBe(overlay !== "external-nats")
    }
  )

  it("make Pods that `restricted` lets in, in a namespace that enforces it", async () => {
    for (const overlay of ["", "ha", "tls"]) {
      const ours = (await workloads(overlay)).filter(({ kind }) => kind !== "DaemonSet")
      expect(ours.map(({ metadata }) => metadata.name).toSorted()).toEqual([
        "extip-bridge",
        "extip-functions",
        "extip-nats"
      ])
      for (const one of ours) {
        expect(one.metadata.namespace).toBe("extip-system")
        expect(await dryRun(podOf(one))).toContain("created (server dry run)")
      }
    }
  })

  it("ask for the node runtime what `restricted` forbids: the host's network and directory, and two capabilities", async () => {
    const node = (await workloads("")).find(({ kind }) => kind === "DaemonSet")!
    expect(await dryRun(podOf(node))).toContain("created (server dry run)")
    const refusal = await dryRun(podOf(node, "extip-system"))
    expect(refusal).toContain('violates PodSecurity "restricted:latest"')
    // With none of these it would be a Pod as any other, but for root.
    for (const asked of ["host namespaces (hostNetwork=true)", '"NET_ADMIN", "NET_RAW"', 'volume "slice"']) {
      expect(refusal).toContain(asked)
    }
    for (const never of ["privileged", "allowPrivilegeEscalation", "hostPID", "seccompProfile"]) {
      expect(refusal).not.toContain(never)
    }
    const [container] = node.spec.template.spec.containers
    expect(container.securityContext.capabilities).toEqual({ drop: ["ALL"], add: ["NET_ADMIN", "NET_RAW"] })
    expect(container.securityContext.readOnlyRootFilesystem).toBe(true)
    expect(container.resources.limits.cpu).toBeUndefined()
  })

  it("mount a token only where the API server is talked to", async () => {
    const mounts = (await workloads("")).map(({ metadata, spec }) => [
      metadata.name,
      spec.template.spec.automountServiceAccountToken
    ])
    expect(Object.fromEntries(mounts)).toEqual({
      "extip-bridge": true,
      "extip-functions": true,
      "extip-nats": false,
      "extip-node": false
    })
  })

  it("run the version of this package, and a NATS that this repository is tested with", async () => {
    const images = (await workloads("")).map(({ spec }) => spec.template.spec.containers[0].image)
    expect(new Set(images)).toEqual(new Set([`extip:${version}`, `nats:${natsVersion}`]))
  })

  it("of functions of one's own, by `extip manifest`, are their sources, what they declare, and a Deployment", async () => {
    const from = join(repository, "test/fixtures/functions")
    const { out, code } = await extip(["manifest", "--from", from, "--name", "deploy-test"])
    expect(code).toBe(0)
    const answer = await cluster.kubectl("apply --dry-run=server -f -", out)
    expect(answer.split("\n").map((line) => line.split(" ")[0])).toEqual([
      "configmap/extip-function-label-on-create",
      "serviceaccount/extip-deploy-test",
      "clusterrole.rbac.authorization.k8s.io/extip-deploy-test",
      "clusterrolebinding.rbac.authorization.k8s.io/extip-deploy-test",
      // Ours read no ConfigMaps.
      "clusterrole.rbac.authorization.k8s.io/extip-bridge-for-deploy-test",
      "clusterrolebinding.rbac.authorization.k8s.io/extip-bridge-for-deploy-test",
      "deployment.apps/extip-deploy-test"
    ])
    const [deployment] = parseAllDocuments(out)
      .map((document) => document.toJSON() as Read)
      .slice(-1)
    expect(await dryRun(podOf(deployment!))).toContain("created (server dry run)")
    expect(JSON.stringify(deployment)).toMatch(/"ipcontroller.ext\/sources-of-deploy-test":"[0-9a-f]{16}"/)
    const patch = await extip(["manifest", "--from", from, "--bridge"])
    // Nobody here would run it.
    await cluster.kubectl(["apply", "-f", join(deploy, "base/bridge.yaml")])
    const patched = [
      "patch",
      "deployment",
      "extip-bridge",
      "-n",
      "extip-system",
      "--dry-run=server",
      "-o",
      "yaml"
    ]
    const bridge = await cluster.kubectl([...patched, "--patch", patch.out])
    await cluster.kubectl(["delete", "-f", join(deploy, "base/bridge.yaml")])
    expect(bridge).toContain("mountPath: /functions/label-on-create")
    expect(bridge).toContain("ipcontroller.ext/sources-of-own: ")
    expect(bridge).toContain("name: NATS_PASSWORD")
  })

  it("keep each stream on as many servers as there are", async () => {
    const parts = await workloads("ha")
    expect(parts.find(({ kind }) => kind === "StatefulSet")?.spec).toMatchObject({ replicas: 3 })
    // In the Pods' template: a ConfigMap that changes would leave the bridges as they are.
    const bridge = parts.find(({ metadata }) => metadata.name === "extip-bridge")
    expect(JSON.stringify(bridge?.spec)).toContain('{"name":"EXTIP_NATS_REPLICAS","value":"3"}')
  })
})

const natsVersion = /nats-server\/v2 v(\S+)/.exec(
  readFileSync(join(repository, "infra/local/nats/go.mod"), "utf8")
)![1]!
