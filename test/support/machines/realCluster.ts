import { execFile } from "node:child_process"
import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import * as Effect from "effect/Effect"
import type { Say } from "../../../infra/local/failure.ts"
import type { Namespace } from "../../../infra/local/namespaces.ts"
import { endLeftovers } from "../../../infra/local/start.ts"
import { repository } from "../cluster.ts"
import { until } from "../until.ts"
import { type Credentials, makeCredentials } from "./certificates.ts"
import { ControlPlane } from "./controlPlane.ts"
import { clusterImages, type Image, ourImage } from "./images.ts"
import { Lan } from "./lan.ts"
import { Machine, machineSettings, removeGroups, removeLeftGroups, restoreSettings } from "./machine.ts"
import { ClusterNode, routesToPods } from "./node.ts"
import { findPrograms, type Programs, realClusterUnavailable } from "./programs.ts"

const run = promisify(execFile)

const nodeNumbers = [11, 12, 13] as const
/** A client on the LAN that is no part of the cluster. */
const clientNumber = 100
/** What an administrator types waits for pods, and not for minutes. */
const shellMillis = 240_000

/**
 * A Kubernetes cluster of three nodes on this machine: kubelets with containerd, kube-proxy, controller manager,
 * scheduler, CoreDNS, on one LAN with a client. Nothing of ours is in it but images.
 */
export class RealCluster {
  readonly directory: string
  readonly lan: Lan
  readonly nodes: ReadonlyArray<ClusterNode>
  readonly client: Namespace
  readonly control: ControlPlane
  readonly #host: Namespace
  readonly #credentials: Credentials
  readonly #programs: Programs
  readonly #settings: ReadonlyMap<string, string>
  readonly #group: string
  readonly #say: Say

  private constructor(fields: {
    directory: string
    lan: Lan
    nodes: ReadonlyArray<ClusterNode>
    client: Namespace
    host: Namespace
    credentials: Credentials
    programs: Programs
    settings: ReadonlyMap<string, string>
    group: string
    say: Say
  }) {
    this.directory = fields.directory
    this.lan = fields.lan
    this.nodes = fields.nodes
    this.client = fields.client
    this.#host = fields.host
    this.control = new ControlPlane({
      host: fields.host,
      programs: fields.programs,
      credentials: fields.credentials,
      directory: join(fields.directory, "control"),
      ledger: fields.lan.namespaces.ledger
    })
    this.#credentials = fields.credentials
    this.#programs = fields.programs
    this.#settings = fields.settings
    this.#group = fields.group
    this.#say = fields.say
  }

  /**
   * Starts it, with our image and NATS's on every node; Ready when it returns. `EXTIP_TEST_LOGS` names a folder where
   * the logs of its kubelets and of its control plane are kept.
   */
  static async open(say: Say): Promise<RealCluster> {
    const unavailable = realClusterUnavailable()
    if (unavailable !== undefined) throw new Error(unavailable)
    await Effect.runPromise(endLeftovers(say))
    await removeLeftGroups()
    const programs = await findPrograms(say)
    const before = machineSettings()
    const directory = mkdtempSync(join(tmpdir(), "extip-cluster-"))
    chmodSync(directory, 0o755)
    const lan = await Lan.open()
    lan.namespaces.ledger.addDirectory(directory)
    const names = nodeNumbers.map((_, index) => `n${index + 1}`)
    const credentials = makeCredentials(join(directory, "credentials"), names)
    const group = `extip-${process.pid}`
    const [host, client] = [await lan.host("control", 1), await lan.host("client", clientNumber)]
    const nodes = names.map((name, index) => {
      const number = nodeNumbers[index]!
      const plan = { name, number, directory: join(directory, name), group }
      const machine = new Machine(plan, lan, lan.namespaces.ledger)
      const { kubelet, "kube-proxy": kubeProxy } = programs.node as Record<string, string>
      const others = nodeNumbers.filter((other) => other !== number)
      return new ClusterNode(machine, { kubelet: kubelet!, kubeProxy: kubeProxy! }, credentials, others)
    })
    const cluster = new RealCluster({
      directory,
      lan,
      nodes,
      client,
      host,
      credentials,
      programs,
      settings: before,
      group,
      say
    })
    try {
      await cluster.#start()
      return cluster
    } catch (cause) {
      await cluster.close()
      throw cause
    }
  }

  /** A folder for an administrator's shell: what of the repository its commands name, and `kubectl` on PATH. */
  #makeShell(): void {
    const [work, bin] = [join(this.directory, "shell"), join(this.directory, "bin")]
    for (const folder of [work, bin]) mkdirSync(folder)
    for (const name of ["infra", "package.json", "node_modules", "runtime", "functions"]) {
      symlinkSync(join(repository, name), join(work, name))
    }
    const program = (name: string, line: ReadonlyArray<string>) =>
      writeFileSync(join(bin, name), `#!/bin/sh\nexec ${line.map((word) => `'${word}'`).join(" ")} "$@"\n`, {
        mode: 0o755
      })
    program("kubectl", [
      this.#programs.control.kubectl!,
      "--kubeconfig",
      this.#credentials.kubeconfig("admin")
    ])
  }

  /** Runs kubectl as administrator; what it printed, trimmed. */
  async kubectl(args: string | ReadonlyArray<string>, input = ""): Promise<string> {
    return await this.control.kubectl(args, input)
  }

  async get(args: string): Promise<any> {
    return JSON.parse(await this.kubectl(`get ${args} -o json`))
  }

  async #start(): Promise<void> {
    this.#makeShell()
    for (const host of [this.#host, this.client]) await host.ip(routesToPods(nodeNumbers))
    // Pods and nodes find each other through it, as through a router.
    await this.#host.run("sh", ["-c", "echo 1 >/proc/sys/net/ipv4/ip_forward"])
    const images = clusterImages(this.directory, this.#programs, this.#say)
    await this.control.start()
    await this.kubectl(
      "create clusterrolebinding test-proxy --clusterrole system:node-proxier --user system:kube-proxy"
    )
    await Promise.all(this.nodes.map((node) => node.powerOn()))
    const archives = (await images).map(({ archive }) => archive)
    await Promise.all(
      this.nodes.map(async (node) => {
        await node.machine.run("mkdir", ["-p", volumePath])
        for (const archive of archives) await node.importImage(archive)
        node.join()
      })
    )
    await this.nodesReady()
    await this.kubectl("apply -f -", [addons, ...this.nodes.map(({ name }) => volumeOf(name))].join("---\n"))
    await this.kubectl("-n kube-system rollout status deployment/coredns --timeout 120s")
    this.#say(`cluster: ${this.nodes.length} nodes, and the names of Services`)
  }

  async nodesReady(names = this.nodes.map(({ name }) => name)): Promise<void> {
    await until(
      `nodes ${names.join(", ")} to be Ready`,
      async () => {
        const lines = (await this.kubectl("get nodes --no-headers")).split("\n")
        const ready = lines.filter((line) => /^\S+\s+Ready/.test(line)).map((line) => line.split(/\s/)[0]!)
        return names.every((name) => ready.includes(name))
      },
      { seconds: 120, last: async () => await this.kubectl("get nodes") }
    )
  }

  /** Powers the node on again, and waits until all of its containers have been started since. */
  async reboot(name: string): Promise<void> {
    const since = Math.floor(Date.now() / 1000) * 1000
    await this.node(name).reboot()
    await until(
      `the pods of ${name} to run again`,
      async () => {
        const lease = await this.get(`lease ${name} -n kube-node-lease`)
        if (Date.parse(lease.spec.renewTime) < since) return false
        const { items } = await this.get(`pods -A --field-selector spec.nodeName=${name}`)
        const theirs = items.filter(({ metadata }: any) => metadata.deletionTimestamp === undefined)
        const started = theirs.flatMap(({ status }: any) =>
          (status.containerStatuses ?? [{}]).map(({ state }: any) => Date.parse(state?.running?.startedAt))
        )
        return started.every((at: number) => at >= since)
      },
      { seconds: 180, last: async () => await this.kubectl("get pods -A -o wide") }
    )
    await this.nodesReady()
  }

  /**
   * Forgets connections that were asked for and never made. A node's connection tracking leads a client that uses its
   * port again within two minutes to the pod of before, though that has died with its node: Kubernetes' doing, not ours.
   */
  async forgetHalfOpen(): Promise<void> {
    for (const { machine } of this.nodes.filter((node) => node.machine.isOn)) {
      // It fails when there is none.
      await machine.run("conntrack", ["-D", "-p", "tcp", "--state", "SYN_SENT"]).catch(() => undefined)
    }
  }

  node(name: string): ClusterNode {
    const node = this.nodes.find((one) => one.name === name)
    if (node === undefined) throw new Error(`there is no node ${name}`)
    return node
  }

  /** Runs the lines as an administrator's shell would. */
  async shell(lines: string): Promise<string> {
    const work = join(this.directory, "shell")
    const env = { ...process.env, PATH: `${join(this.directory, "bin")}:${process.env.PATH}` }
    const [command, ...args] = this.#host.inside("sh", ["-e", "-c", lines])
    const { stdout } = await run(command, args, { cwd: work, env, maxBuffer: 1 << 26, timeout: shellMillis })
    return stdout
  }

  /** Makes our image of a working tree's sources. */
  async ourImage(reference: string, source: string): Promise<Image> {
    return await ourImage(this.directory, reference, this.#say, source)
  }

  async close(): Promise<void> {
    this.control.stop()
    for (const node of this.nodes) await node.powerOff().catch((cause) => this.#say(String(cause)))
    this.lan.close()
    restoreSettings(this.#settings)
    const kept = process.env.EXTIP_TEST_LOGS
    if (kept !== undefined && kept !== "") {
      const isLog = (path: string) =>
        (!path.includes("/disk/") ||
          "/disk/var/log/pods".startsWith(path.replace(/^.*(?=\/disk\/)/, "")) ||
          path.includes("/disk/var/log/pods/")) &&
        (path.endsWith(".log") || statSync(path).isDirectory())
      cpSync(this.directory, kept, { recursive: true, filter: isLog })
    }
    rmSync(this.directory, { recursive: true, force: true })
    await removeGroups(this.#group)
    this.lan.namespaces.ledger.removeDirectory(this.directory)
  }
}

const addons = readFileSync(new URL("addons.yaml", import.meta.url), "utf8")

const volumePath = "/var/lib/volumes/nats"
const volumeOf = (node: string) => `apiVersion: v1
kind: PersistentVolume
metadata: { name: local-${node} }
spec:
  capacity: { storage: 12Gi }
  accessModes: [ReadWriteOnce]
  persistentVolumeReclaimPolicy: Retain
  storageClassName: local
  local: { path: ${volumePath} }
  nodeAffinity:
    required:
      nodeSelectorTerms:
        - matchExpressions: [{ key: kubernetes.io/hostname, operator: In, values: [${node}] }]
`
