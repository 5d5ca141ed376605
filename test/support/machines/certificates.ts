import { execFileSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { kubeconfigOf } from "../../../infra/local/kubeconfig.ts"
import { addressOf } from "./lan.ts"

/** Who has a token, and in which group. */
const users: Readonly<Record<string, readonly [name: string, group: string]>> = {
  admin: ["admin", "system:masters"],
  "controller-manager": ["system:kube-controller-manager", ""],
  scheduler: ["system:kube-scheduler", ""],
  proxy: ["system:kube-proxy", ""]
}

/** The files that say who is who in a cluster. */
export interface Credentials {
  readonly directory: string
  /** The kubeconfig of `admin`, `controller-manager`, `scheduler`, `proxy` or `kubelet-NODE`. */
  readonly kubeconfig: (who: string) => string
  readonly file: (name: string) => string
}

/** Makes them: an authority, the API server's certificate, its own for kubelets, the key of accounts' tokens. */
export const makeCredentials = (directory: string, nodes: ReadonlyArray<string>): Credentials => {
  mkdirSync(directory, { recursive: true })
  const file = (name: string) => join(directory, name)
  const openssl = (args: string) =>
    execFileSync("openssl", args.split(" "), { cwd: directory, stdio: ["ignore", "ignore", "pipe"] })
  const names = [
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local"
  ]
  const alternatives = [
    ...names.map((name) => `DNS:${name}`),
    ...["10.96.0.1", addressOf(1), "127.0.0.1"].map((ip) => `IP:${ip}`)
  ]
  writeFileSync(file("server.conf"), `subjectAltName=${alternatives.join(",")}\n`)
  writeFileSync(file("client.conf"), "extendedKeyUsage=clientAuth\n")
  const key = (name: string) =>
    openssl(`genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ${name}.key`)
  const sign = (name: string, subject: string, conf: string) => {
    key(name)
    openssl(`req -new -key ${name}.key -subj ${subject} -out ${name}.csr`)
    openssl(
      `x509 -req -in ${name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out ${name}.crt -extfile ${conf}`
    )
  }
  key("ca")
  openssl("req -x509 -new -key ca.key -subj /CN=test -days 30 -out ca.crt")
  sign("apiserver", "/CN=kube-apiserver", "server.conf")
  sign("kubelet-client", "/O=system:masters/CN=kube-apiserver-kubelet-client", "client.conf")
  key("accounts")
  openssl("pkey -in accounts.key -pubout -out accounts.pub")
  const kubelets = nodes.map((node) => [`kubelet-${node}`, [`system:node:${node}`, "system:nodes"]] as const)
  const ca = readFileSync(file("ca.crt"), "utf8")
  const lines = [...Object.entries(users), ...kubelets].map(([who, [name, group]]) => {
    const token = randomBytes(16).toString("hex")
    const access = { server: `https://${addressOf(1)}:6443`, token, ca }
    writeFileSync(file(`${who}.kubeconfig`), kubeconfigOf(access), { mode: 0o600 })
    return `${token},${name},${name},"${group}"`
  })
  writeFileSync(file("tokens.csv"), `${lines.join("\n")}\n`, { mode: 0o600 })
  return { directory, file, kubeconfig: (who) => file(`${who}.kubeconfig`) }
}
