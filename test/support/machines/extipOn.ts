import { setTimeout as sleep } from "node:timers/promises"
import { IpClaim, IpClaimPool, Service } from "../../../functions/domain/kinds.ts"
import { faults } from "../invariants.ts"
import { until } from "../until.ts"
import type { RealCluster } from "./realCluster.ts"

const namespaces = ["extip-system", "extip-node"]
export const workloads = [
  ["extip-system", "statefulset/extip-nats"],
  ["extip-system", "deployment/extip-bridge"],
  ["extip-system", "deployment/extip-functions"],
  ["extip-node", "daemonset/extip-node"]
] as const

const plurals = new Map([
  [IpClaim, "ipclaims"],
  [IpClaimPool, "ipclaimpools"],
  [Service, "services -A"]
] as ReadonlyArray<readonly [unknown, string]>)

/** extip as it is deployed in a real cluster, and what must hold there. */
export class ExtipOn {
  readonly cluster: RealCluster
  /** Container → restarts that a test has caused. */
  readonly #restarts = new Map<string, number>()

  constructor(cluster: RealCluster) {
    this.cluster = cluster
  }

  async rolledOut(seconds = 180): Promise<void> {
    for (const [namespace, workload] of workloads) {
      await this.cluster.kubectl(`-n ${namespace} rollout status ${workload} --timeout ${seconds}s`)
    }
  }

  async restart(namespace: string, workload: string): Promise<void> {
    await this.cluster.kubectl(`-n ${namespace} rollout restart ${workload}`)
    await this.cluster.kubectl(`-n ${namespace} rollout status ${workload} --timeout 300s`)
  }

  /** As the README says for a node that is drained; `null` takes it back. */
  async setUnschedulable(node: string, value: true | null): Promise<void> {
    const change = JSON.stringify({ spec: { unschedulable: value } })
    await this.cluster.kubectl(["patch", "ipnode", node, "--type", "merge", "-p", change])
  }

  /** The addresses that a Service shows. */
  async shown(service: string, namespace = "default"): Promise<ReadonlyArray<string>> {
    const { spec, status } = await this.cluster.get(`service ${service} -n ${namespace}`)
    const ingress: ReadonlyArray<{ readonly ip: string }> = status?.loadBalancer?.ingress ?? []
    return [...(spec.externalIPs ?? []), ...ingress.map(({ ip }) => ip)]
  }

  /** The one address of a Service, as soon as it is bound to a node. */
  async bound(service: string, namespace = "default"): Promise<string> {
    return await until(
      `Service ${service} to have an address that is bound`,
      async () => {
        const [address, ...more] = await this.shown(service, namespace)
        if (address === undefined || more.length > 0) return undefined
        const claim = await this.cluster.get(`ipc ${address.replaceAll(".", "-")}`)
        return claim.status?.phase === "Bound" ? address : undefined
      },
      { seconds: 60, last: async () => await this.cluster.kubectl("get ipc,ipn -o wide") }
    )
  }

  /** Address → node, by the claims' status. */
  async holders(): Promise<ReadonlyMap<string, string>> {
    const { items } = await this.cluster.get("ipc")
    return new Map(
      items.map((claim: any) => [
        claim.spec.cidr.split("/")[0],
        claim.status?.phase === "Bound" ? claim.status.node : ""
      ])
    )
  }

  /** Address → nodes, by the kernels of those that are on: whatever is there without a subnet is ours. */
  async kernels(): Promise<ReadonlyMap<string, ReadonlyArray<string>>> {
    const found = new Map<string, Array<string>>()
    for (const { name, machine } of this.cluster.nodes) {
      if (!machine.isOn) continue
      const shown = await machine.run("ip", ["-oneline", "addr", "show", "dev", "eth0"])
      for (const [, address] of shown.matchAll(/inet6? (\S+)\/(?:32|128) /g)) {
        found.set(address!, [...(found.get(address!) ?? []), name])
      }
    }
    return found
  }

  /**
   * Waits until every kube-proxy leads, for each Service, from the addresses that it shows to just those pods of a
   * Deployment that are ready, all on nodes that are `allowed`; what is elsewhere is deleted. After an outage of the API
   * server a kube-proxy takes up to a minute, and the scheduler may not have heard yet that a node is cordoned.
   */
  async served(name: string, allowed: (node: string) => boolean = () => true): Promise<void> {
    await this.cluster.kubectl(`rollout status deployment/${name} --timeout 120s`)
    let behind = ""
    await until(
      `every kube-proxy to know the pods and addresses of ${name}`,
      async () => {
        behind = "no pod is ready, or one is elsewhere"
        const { items } = await this.cluster.get(`pods -l app=${name}`)
        const ready = items.filter(
          ({ metadata, status }: any) =>
            metadata.deletionTimestamp === undefined &&
            status.conditions?.some(({ type, status }: any) => type === "Ready" && status === "True")
        )
        const ips = new Set(ready.map(({ status }: any) => status.podIP))
        const elsewhere = ready.filter(({ spec }: any) => !allowed(spec.nodeName))
        if (elsewhere.length > 0) {
          const names = elsewhere.map(({ metadata }: any): string => metadata.name)
          await this.cluster.kubectl(["delete", "pod", "--wait=false", ...names])
        }
        if (ips.size === 0 || elsewhere.length > 0) return false
        const services = (await this.cluster.get("services -A")).items.filter(
          ({ spec }: any) => spec.selector?.app === name
        )
        const shown: ReadonlyArray<string> = services.flatMap(({ spec, status }: any) => [
          ...(spec.externalIPs ?? []),
          ...(status.loadBalancer?.ingress ?? []).map(({ ip }: any) => ip)
        ])
        for (const node of this.cluster.nodes.filter(({ machine }) => machine.isOn)) {
          const rules = await node.machine.run("nft", ["list", "table", "ip", "kube-proxy"])
          behind = `the rules on ${node.name} are behind:\n${rules}`
          // Of those as well that the node may take over, and has not had yet.
          if (!shown.every((address) => rules.includes(` ${address} . tcp . `))) return false
          // Service by Service: a busy EndpointSlice controller, or kube-proxy, has one done before the next.
          const led = Array.from(rules.matchAll(/\bdnat .*\b8080\b.*/g), ([rule]) => {
            return new Set(Array.from(rule.matchAll(/(\d+(?:\.\d+){3})(?: \. |:)8080/g), ([, ip]) => ip))
          })
          if (led.length !== services.length) return false
          if (led.some((known) => known.symmetricDifference(ips).size > 0)) return false
        }
        return true
      },
      {
        seconds: 90,
        last: async () =>
          `${behind}\n${await this.cluster.kubectl("get services,pods,endpointslices -o wide")}`
      }
    )
  }

  /** Waits until every address has a standby that has heard its holder, so that the loss of one node is that of one only. */
  async watched(): Promise<void> {
    const seenBy = async (pod: string) => {
      const path = `/api/v1/namespaces/extip-node/pods/${pod}:9964/proxy/metrics`
      const metrics = await this.cluster.kubectl(["get", "--raw", path])
      return Number(/^extip_addresses_seen\S* (\d+)/m.exec(metrics)?.[1] ?? 0)
    }
    await until(
      "every address to be watched by another node",
      async () => {
        const pods = await this.podsOf("extip-node", "extip-node")
        const seen = await Promise.all(pods.map(({ name }) => seenBy(name)))
        return seen.reduce((sum, one) => sum + one, 0) === (await this.holders()).size
      },
      { seconds: 60 }
    )
  }

  /**
   * Looks at the kernels again and again, and notes each change: address and nodes, with the time. They are asked one
   * after the other, so that an address that moves meanwhile seems to be on two: that is said of what is so twice.
   */
  watch(): { readonly stop: () => Promise<ReadonlyArray<string>> } {
    const changes: Array<string> = []
    const before = new Map<string, string>()
    const doubles = new Set<string>()
    let going = true
    const looking = (async () => {
      while (going) {
        const now = await this.kernels().catch(() => undefined)
        const at = new Date().toISOString().slice(11, 23)
        for (const address of new Set([...before.keys(), ...(now?.keys() ?? [])])) {
          if (now === undefined) break
          const nodes = (now.get(address) ?? []).join("+") || "none"
          const isDouble = nodes.includes("+")
          if (isDouble && !doubles.has(address)) {
            doubles.add(address)
            continue
          }
          if (!isDouble) doubles.delete(address)
          if (before.get(address) !== nodes)
            changes.push(`${at} ${address} ${before.get(address) ?? ""} → ${nodes}`)
          before.set(address, nodes)
        }
        await sleep(50)
      }
    })()
    return {
      stop: async () => {
        going = false
        await looking
        return changes
      }
    }
  }

  /** What is not as it must be when all is quiet: empty where it is. */
  async broken(): Promise<ReadonlyArray<string>> {
    const objects = new Map<unknown, ReadonlyArray<unknown>>()
    for (const [kind, plural] of plurals) objects.set(kind, (await this.cluster.get(plural)).items)
    const all = ((kind: unknown) => objects.get(kind) ?? []) as Parameters<typeof faults>[0]["cluster"]["all"]
    const found = [...faults({ cluster: { all } })]
    const kernels = await this.kernels()
    const holders = await this.holders()
    for (const [address, node] of holders) {
      const on = kernels.get(address) ?? []
      if (on.length !== 1 || on[0] !== node) {
        found.push(`${address} is on ${on.join(" and ") || "no node"}, its claim says ${node || "none"}`)
      }
    }
    for (const address of kernels.keys()) {
      if (!holders.has(address))
        found.push(`${address} is on ${kernels.get(address)}, and nobody has claimed it`)
    }
    return found
  }

  /** Waits until all is as it must be. */
  async whole(seconds = 90): Promise<void> {
    let last: ReadonlyArray<string> = []
    await until(
      "every promise to be kept",
      async () => {
        last = await this.broken()
        return last.length === 0
      },
      { seconds, last: () => last }
    )
  }

  /** The images of ours that run, without NATS's. */
  async images(): Promise<ReadonlyArray<string>> {
    const pods = await Promise.all(namespaces.map((namespace) => this.cluster.get(`pods -n ${namespace}`)))
    const running = pods
      .flatMap(({ items }) => items)
      .filter(({ metadata }: any) => metadata.deletionTimestamp === undefined)
    const all: ReadonlyArray<string> = running.map(({ spec }: any) => spec.containers[0].image)
    return [...new Set(all.filter((image) => image.startsWith("extip:")))].sort()
  }

  async podsOf(
    label: string,
    namespace = "extip-system"
  ): Promise<ReadonlyArray<{ name: string; node: string }>> {
    const { items } = await this.cluster.get(`pods -n ${namespace} -l app.kubernetes.io/name=${label}`)
    return items.map((pod: any) => ({ name: pod.metadata.name, node: pod.spec.nodeName }))
  }

  /** Restarts of ours that no test has caused: pod/container and how often. */
  async restarts(): Promise<ReadonlyArray<string>> {
    const found: Array<string> = []
    for (const namespace of namespaces) {
      const { items } = await this.cluster.get(`pods -n ${namespace}`)
      for (const pod of items) {
        for (const { name, restartCount } of pod.status.containerStatuses ?? []) {
          const who = `${pod.metadata.name}/${name}`
          if (restartCount > (this.#restarts.get(who) ?? 0)) found.push(`${who}: ${restartCount}`)
        }
      }
    }
    return found
  }

  /** From here on what has been restarted so far is not counted: a power cut restarts whatever ran there. */
  async forgiveRestarts(): Promise<void> {
    for (const namespace of namespaces) {
      const { items } = await this.cluster.get(`pods -n ${namespace}`)
      for (const pod of items) {
        for (const { name, restartCount } of pod.status.containerStatuses ?? []) {
          this.#restarts.set(`${pod.metadata.name}/${name}`, restartCount)
        }
      }
    }
  }

  /** Pods that tell who they are and who asks. Two at least, on different nodes. */
  async serve(name: string): Promise<void> {
    await this.cluster.kubectl("apply -f -", server(name))
    await this.cluster.kubectl(`rollout status deployment/${name} --timeout 120s`)
  }
}

/** An HTTP server in the image that is there anyway. */
const server = (name: string) => `apiVersion: v1
kind: ConfigMap
metadata: { name: ${name} }
data:
  server.js: |
    const { POD, NODE } = process.env
    require("node:http").createServer((request, response) => {
      response.end(JSON.stringify({ pod: POD, node: NODE, client: request.socket.remoteAddress.replace("::ffff:", "") }))
    }).listen(8080)
    process.on("SIGTERM", () => setTimeout(() => process.exit(0), 2000))
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: ${name} }
spec:
  replicas: 3
  selector: { matchLabels: { app: ${name} } }
  template:
    metadata: { labels: { app: ${name} } }
    spec:
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: { matchLabels: { app: ${name} } }
      containers:
        - name: server
          image: extip:0.1.0
          imagePullPolicy: Never
          command: [node, /server/server.js]
          env:
            - name: POD
              valueFrom: { fieldRef: { fieldPath: metadata.name } }
            - name: NODE
              valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
          readinessProbe:
            httpGet: { path: /, port: 8080 }
            periodSeconds: 1
          volumeMounts: [{ name: server, mountPath: /server }]
      volumes: [{ name: server, configMap: { name: ${name} } }]
`
