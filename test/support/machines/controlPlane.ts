import type { ChildProcess } from "node:child_process"
import { closeSync, mkdirSync, openSync } from "node:fs"
import { join } from "node:path"
import type { Ledger } from "../../../infra/local/ledger.ts"
import type { Namespace } from "../../../infra/local/namespaces.ts"
import { spawnTied } from "../../../infra/local/process.ts"
import { until } from "../until.ts"
import type { Credentials } from "./certificates.ts"
import { addressOf } from "./lan.ts"
import type { Programs } from "./programs.ts"

const restartMillis = 1_000

export interface ControlPlanePlan {
  /** The host that it runs on. */
  readonly host: Namespace
  readonly programs: Programs
  readonly credentials: Credentials
  /** Its data and logs. */
  readonly directory: string
  readonly ledger: Ledger
}

/** What a cluster has beside its nodes: etcd, API server, controller manager, scheduler. */
export class ControlPlane {
  readonly #plan: ControlPlanePlan
  #apiServer: ChildProcess | undefined
  #isStopped = false

  constructor(plan: ControlPlanePlan) {
    this.#plan = plan
  }

  async start(): Promise<void> {
    const { programs, credentials, directory } = this.#plan
    mkdirSync(directory)
    const etcd = "http://127.0.0.1:2379"
    this.#daemon("etcd", programs.control.etcd!, [
      `--data-dir=${join(directory, "etcd")}`,
      `--listen-client-urls=${etcd}`,
      `--advertise-client-urls=${etcd}`,
      "--listen-peer-urls=http://127.0.0.1:2380",
      "--unsafe-no-fsync"
    ])
    this.startApiServer()
    await this.apiServerReady()
    this.#keep("controller-manager", programs.node["kube-controller-manager"]!, [
      `--kubeconfig=${credentials.kubeconfig("controller-manager")}`,
      `--service-account-private-key-file=${credentials.file("accounts.key")}`,
      `--root-ca-file=${credentials.file("ca.crt")}`,
      "--use-service-account-credentials",
      "--cluster-cidr=10.244.0.0/16",
      "--allocate-node-cidrs=false",
      // Longer than a test has the API server away. Whoever is silent for so long is declared lost, and his pods not to be
      // ready: then every Service is without endpoints for some seconds after each outage of the API server.
      "--node-monitor-grace-period=90s"
    ])
    this.#keep("scheduler", programs.node["kube-scheduler"]!, [
      `--kubeconfig=${credentials.kubeconfig("scheduler")}`,
      `--authentication-kubeconfig=${credentials.kubeconfig("scheduler")}`,
      `--authorization-kubeconfig=${credentials.kubeconfig("scheduler")}`
    ])
  }

  /** Starts nothing anew from here on. */
  stop(): void {
    this.#isStopped = true
  }

  /**
   * As a kubelet keeps the static pods of a control plane: whoever has lost its lease, because the API server was away,
   * ends by itself and is started anew. One that only went on would hear of pods a minute late, or later.
   */
  #keep(name: string, path: string, args: ReadonlyArray<string>): void {
    this.#daemon(name, path, args).once("exit", () => {
      setTimeout(() => {
        if (!this.#isStopped) this.#keep(name, path, args)
      }, restartMillis).unref()
    })
  }

  #daemon(name: string, path: string, args: ReadonlyArray<string>): ChildProcess {
    const { host, directory, ledger } = this.#plan
    const log = openSync(join(directory, `${name}.log`), "a")
    try {
      const [command, ...all] = host.inside(path, args)
      return spawnTied({ name, path: command, args: all, ledger }, log)
    } finally {
      closeSync(log)
    }
  }

  startApiServer(): void {
    const { programs, credentials } = this.#plan
    const { file } = credentials
    this.#apiServer = this.#daemon("apiserver", programs.control["kube-apiserver"]!, [
      "--etcd-servers=http://127.0.0.1:2379",
      "--secure-port=6443",
      "--bind-address=0.0.0.0",
      `--advertise-address=${addressOf(1)}`,
      `--tls-cert-file=${file("apiserver.crt")}`,
      `--tls-private-key-file=${file("apiserver.key")}`,
      `--client-ca-file=${file("ca.crt")}`,
      `--kubelet-client-certificate=${file("kubelet-client.crt")}`,
      `--kubelet-client-key=${file("kubelet-client.key")}`,
      `--kubelet-certificate-authority=`,
      "--kubelet-preferred-address-types=InternalIP",
      `--service-account-key-file=${file("accounts.pub")}`,
      `--service-account-signing-key-file=${file("accounts.key")}`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--token-auth-file=${file("tokens.csv")}`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--allow-privileged=true",
      "--service-cluster-ip-range=10.96.0.0/16"
    ])
  }

  async killApiServer(): Promise<void> {
    const server = this.#apiServer
    if (server === undefined) return
    this.#apiServer = undefined
    const ended = new Promise((resolve) => server.once("exit", resolve))
    server.kill("SIGKILL")
    await ended
  }

  async apiServerReady(): Promise<void> {
    await until("the API server", async () => (await this.kubectl("get --raw /readyz")) === "ok", {
      seconds: 120
    })
  }

  /** Runs kubectl as administrator; what it printed, trimmed. */
  async kubectl(args: string | ReadonlyArray<string>, input = ""): Promise<string> {
    const list = typeof args === "string" ? args.split(" ") : args
    const { host, programs, credentials } = this.#plan
    const all = ["--kubeconfig", credentials.kubeconfig("admin"), ...list]
    return (await host.run(programs.control.kubectl!, all, input)).trim()
  }
}
