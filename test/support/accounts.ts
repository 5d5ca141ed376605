import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parse, stringify } from "yaml"
import { namespace } from "../../infra/rbac.ts"
import { type Cluster, repository } from "./cluster.ts"

interface Kubeconfig {
  readonly clusters: ReadonlyArray<{ readonly name: string; readonly cluster: object }>
}

/** The service accounts of the manifests, with their roles as they are written there. */
export class Accounts {
  readonly #cluster: Cluster
  readonly #kubeconfigs = new Map<string, Promise<string>>()
  #folder: string | undefined
  #applied: Promise<unknown> | undefined

  constructor(cluster: Cluster) {
    this.#cluster = cluster
  }

  /** The path of a kubeconfig with a token of the account. */
  kubeconfigOf(account: string): Promise<string> {
    const known = this.#kubeconfigs.get(account)
    if (known !== undefined) return known
    const made = this.#make(account)
    this.#kubeconfigs.set(account, made)
    return made
  }

  close(): void {
    if (this.#folder !== undefined) rmSync(this.#folder, { recursive: true, force: true })
  }

  async #make(account: string): Promise<string> {
    this.#applied ??= this.#apply()
    await this.#applied
    const token = await this.#cluster.kubectl(`create token ${account} -n ${namespace} --duration=8h`)
    const admin = parse(readFileSync(this.#cluster.kubeconfig, "utf8")) as Kubeconfig
    const [cluster] = admin.clusters
    this.#folder ??= mkdtempSync(join(tmpdir(), "extip-accounts-"))
    const path = join(this.#folder, account)
    const text = stringify({
      apiVersion: "v1",
      kind: "Config",
      "current-context": account,
      contexts: [{ name: account, context: { cluster: cluster!.name, user: account } }],
      clusters: [cluster],
      users: [{ name: account, user: { token } }]
    })
    writeFileSync(path, text, { mode: 0o600 })
    return path
  }

  /** Namespaces first: they are what the rest is in. */
  async #apply(): Promise<void> {
    const files = ["namespaces", "rbac"].map((name) => join(repository, `infra/deploy/base/${name}.yaml`))
    await this.#cluster.kubectl(["apply", ...files.flatMap((file) => ["-f", file])])
  }
}
