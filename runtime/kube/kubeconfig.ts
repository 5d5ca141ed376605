import { existsSync, readFileSync } from "node:fs"
import { homedir } from "node:os"
import { dirname, isAbsolute, join } from "node:path"
import { parse } from "yaml"

/** Credentials that lie open: no program has to be run and nobody be asked to get them. */
export interface OpenCredentials {
  readonly server: string
  readonly tls: {
    readonly ca?: string | Buffer
    readonly cert?: string | Buffer
    readonly key?: string | Buffer
    readonly servername?: string
    readonly rejectUnauthorized?: boolean
  }
  /** Read anew at each call: tokens of Pods rotate. */
  readonly token: () => string | undefined
}

type Fields = Readonly<Record<string, unknown>>

interface Kubeconfig {
  readonly "current-context"?: string
  readonly contexts?: ReadonlyArray<{
    readonly name: string
    readonly context: { cluster: string; user: string }
  }>
  readonly clusters?: ReadonlyArray<{ readonly name: string; readonly cluster: Fields }>
  readonly users?: ReadonlyArray<{ readonly name: string; readonly user: Fields | null }>
}

const clusterFields = [
  "server",
  "certificate-authority",
  "certificate-authority-data",
  "insecure-skip-tls-verify",
  "tls-server-name"
]
const userFields = [
  "token",
  "tokenFile",
  "client-certificate",
  "client-certificate-data",
  "client-key",
  "client-key-data"
]

const podFolder = "/var/run/secrets/kubernetes.io/serviceaccount"

/** https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/ */
const ofPod = (): OpenCredentials | undefined => {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = process.env
  const tokenFile = join(podFolder, "token")
  if (host === undefined || !existsSync(tokenFile)) return undefined
  return {
    server: `https://${host.includes(":") ? `[${host}]` : host}:${port ?? "443"}`,
    tls: { ca: readFileSync(join(podFolder, "ca.crt")) },
    token: () => readFileSync(tokenFile, "utf8").trim()
  }
}

const ofFile = (path: string): OpenCredentials | undefined => {
  const config = parse(readFileSync(path, "utf8")) as Kubeconfig | null
  const context = config?.contexts?.find(({ name }) => name === config["current-context"])?.context
  const cluster = config?.clusters?.find(({ name }) => name === context?.cluster)?.cluster
  const user = config?.users?.find(({ name }) => name === context?.user)?.user ?? {}
  if (cluster === undefined || typeof cluster["server"] !== "string") return undefined
  if (!Object.keys(cluster).every((field) => clusterFields.includes(field))) return undefined
  if (!Object.keys(user).every((field) => userFields.includes(field))) return undefined
  const pathOf = (file: string) => (isAbsolute(file) ? file : join(dirname(path), file))
  const content = (fields: Fields, name: string): Buffer | undefined => {
    const data = fields[`${name}-data`]
    const file = fields[name]
    if (typeof data === "string") return Buffer.from(data, "base64")
    return typeof file === "string" ? readFileSync(pathOf(file)) : undefined
  }
  const ca = content(cluster, "certificate-authority")
  const cert = content(user, "client-certificate")
  const key = content(user, "client-key")
  const servername = cluster["tls-server-name"]
  const { token, tokenFile } = user
  return {
    server: cluster["server"],
    tls: {
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      ...(typeof servername === "string" ? { servername } : {}),
      ...(cluster["insecure-skip-tls-verify"] === true ? { rejectUnauthorized: false } : {})
    },
    token: () =>
      typeof tokenFile === "string"
        ? readFileSync(pathOf(tokenFile), "utf8").trim()
        : typeof token === "string"
          ? token
          : undefined
  }
}

/**
 * The credentials of `kubeconfig` (a path), `KUBECONFIG`, `~/.kube/config` or the Pod we run in, in this order;
 * `undefined` when they are of a kind that only the Kubernetes client knows how to use (exec plugins, OIDC, proxies,
 * impersonation, several files), or when there are none.
 *
 * @throws when a file that is named cannot be read.
 */
export const openCredentials = (kubeconfig: string | undefined): OpenCredentials | undefined => {
  const named = kubeconfig ?? process.env["KUBECONFIG"]
  if (named !== undefined && named !== "") return named.includes(":") ? undefined : ofFile(named)
  const own = join(homedir(), ".kube", "config")
  return existsSync(own) ? ofFile(own) : ofPod()
}
