import type { ChildProcess } from "node:child_process"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { stringify } from "yaml"
import { until } from "../until.ts"
import type { Credentials } from "./certificates.ts"
import { addressOf } from "./lan.ts"
import type { Machine } from "./machine.ts"

/** Where the programs are. */
export interface NodePrograms {
  readonly kubelet: string
  readonly kubeProxy: string
}

const socket = "/run/containerd/containerd.sock"
const podsOf = (number: number) => `10.244.${number}.0/24`
/** The address of the cluster's names. */
export const dnsAddress = "10.96.0.10"
export const pauseImage = "extip.test/pause:1"

const network = (number: number) => ({
  cniVersion: "1.0.0",
  name: "pods",
  plugins: [
    {
      type: "bridge",
      bridge: "cni0",
      isGateway: true,
      ipMasq: false,
      hairpinMode: true,
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: podsOf(number) }]],
        routes: [{ dst: "0.0.0.0/0" }]
      }
    },
    { type: "portmap", capabilities: { portMappings: true } }
  ]
})

const containerdConfig = `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "${socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${pauseImage}"
  # Nobody here may raise a priority again that was lowered once.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
`

const kubeletConfig = (credentials: Credentials) => ({
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  failCgroupV1: false,
  cgroupDriver: "cgroupfs",
  containerRuntimeEndpoint: `unix://${socket}`,
  authentication: {
    anonymous: { enabled: false },
    webhook: { enabled: true },
    x509: { clientCAFile: credentials.file("ca.crt") }
  },
  authorization: { mode: "Webhook" },
  clusterDNS: [dnsAddress],
  clusterDomain: "cluster.local",
  resolvConf: "",
  makeIPTablesUtilChains: false,
  nodeStatusUpdateFrequency: "4s",
  nodeLeaseDurationSeconds: 10,
  // The disk is the machine's that runs the tests, and may be nearly full.
  imageGCHighThresholdPercent: 100,
  evictionHard: {
    "memory.available": "50Mi",
    "nodefs.available": "1%",
    "nodefs.inodesFree": "1%",
    "imagefs.available": "1%"
  },
  oomScoreAdj: 0
})

const proxyConfig = (credentials: Credentials) => ({
  apiVersion: "kubeproxy.config.k8s.io/v1alpha1",
  kind: "KubeProxyConfiguration",
  mode: "nftables",
  oomScoreAdj: 0,
  clusterCIDR: "10.244.0.0/16",
  clientConnection: { kubeconfig: credentials.kubeconfig("proxy") },
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: "0s", tcpCloseWaitTimeout: "0s" }
})

/** A machine with a container runtime, kubelet and kube-proxy: a node of the cluster. */
export class ClusterNode {
  readonly machine: Machine
  readonly #programs: NodePrograms
  readonly #credentials: Credentials
  readonly #others: ReadonlyArray<number>
  kubelet: ChildProcess | undefined

  /** `others` are the numbers of the other nodes. */
  constructor(
    machine: Machine,
    programs: NodePrograms,
    credentials: Credentials,
    others: ReadonlyArray<number>
  ) {
    this.machine = machine
    this.#programs = programs
    this.#credentials = credentials
    this.#others = others
  }

  get name(): string {
    return this.machine.name
  }

  async powerOn(): Promise<void> {
    const { machine } = this
    await machine.powerOn()
    const { number, directory } = machine.plan
    for (const other of this.#others) {
      await machine.run("ip", ["route", "replace", podsOf(other), "via", addressOf(other)])
    }
    writeFileSync(join(directory, "pods.conflist"), JSON.stringify(network(number)))
    writeFileSync(join(directory, "containerd.toml"), containerdConfig)
    writeFileSync(join(directory, "kubelet.yaml"), stringify(kubeletConfig(this.#credentials)))
    writeFileSync(join(directory, "proxy.yaml"), stringify(proxyConfig(this.#credentials)))
    await machine.run("cp", [join(directory, "pods.conflist"), "/etc/cni/net.d/10-pods.conflist"])
    machine.daemon("containerd", "containerd", ["-c", join(directory, "containerd.toml")])
    await until(`containerd on ${this.name}`, async () => await this.containers(["version"]), { seconds: 60 })
  }

  /** After the images are there. */
  join(): void {
    const { machine } = this
    const { directory } = machine.plan
    this.kubelet = machine.daemon("kubelet", this.#programs.kubelet, [
      "--config",
      join(directory, "kubelet.yaml"),
      "--kubeconfig",
      this.#credentials.kubeconfig(`kubelet-${this.name}`),
      "--hostname-override",
      this.name,
      "--node-ip",
      machine.address,
      "-v=2"
    ])
    machine.daemon("kube-proxy", this.#programs.kubeProxy, [
      "--config",
      join(directory, "proxy.yaml"),
      "--hostname-override",
      this.name,
      "-v=2"
    ])
  }

  /** As the power comes back: the disk has the images. */
  async reboot(): Promise<void> {
    await this.powerOn()
    this.join()
  }

  async powerOff(): Promise<void> {
    await this.machine.powerOff()
  }

  async containers(args: ReadonlyArray<string>): Promise<string> {
    return await this.machine.run("ctr", ["--address", socket, "--namespace", "k8s.io", ...args])
  }

  async importImage(archive: string): Promise<void> {
    await this.containers(["images", "import", archive])
  }
}

/** How the pods of every node are reached. */
export const routesToPods = (numbers: ReadonlyArray<number>): ReadonlyArray<string> =>
  numbers.map((number) => `route replace ${podsOf(number)} via ${addressOf(number)}`)
