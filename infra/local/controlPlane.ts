import { generateKeyPairSync, randomBytes } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { builtFolder } from "./build.ts"
import { LocalFailure, reasonOf, type Say } from "./failure.ts"
import { directory, freePorts } from "./files.ts"
import { type Found, isExecutable, onPath } from "./find.ts"
import { get, kubeconfigOf, readAccess, versionOf } from "./kubeconfig.ts"
import * as parts from "./parts.ts"
import type { LocalProcess } from "./process.ts"
import { type Bench, runBinary, startPart } from "./start.ts"

/** A Kubernetes API with an administrator's access. */
export interface ControlPlane {
  /** The path of a kubeconfig. */
  readonly kubeconfig: string
  /** As in `https://127.0.0.1:6443`. */
  readonly server: string
  readonly port: number
  /** A bearer token of `system:masters`; empty when the user's kubeconfig has none. */
  readonly token: string
  /** PEM; empty when the user's kubeconfig has none. */
  readonly ca: string
  /** A path. */
  readonly kubectl: string
  /** As in `v1.37.2`. */
  readonly version: string
  /** Data and logs. */
  readonly directory: string
  /** Nothing when the user pointed to a cluster. */
  readonly etcd?: LocalProcess & { readonly dataDir: string; readonly port: number }
  /** Nothing when the user pointed to a cluster. */
  readonly apiServer?: LocalProcess
}

/** One that we have started. */
export type OwnControlPlane = Required<ControlPlane>

export interface ControlPlaneOptions {
  readonly say?: Say
  /** Where data and logs are kept; by default in a temporary directory, removed at the end. */
  readonly directory?: string
  /** After ours; the last one of a flag counts. */
  readonly etcdArgs?: ReadonlyArray<string>
  readonly apiServerArgs?: ReadonlyArray<string>
}

const [apiServerBinary, etcdBinary, kubectlBinary] = parts.kubernetes.binaries
// A disk that is busy writing back something else has been seen to hold up etcd's first sync for half a minute.
const etcdWithinSeconds = 120
const apiServerWithinSeconds = 120
const probeMillis = 2_000

const kubectlOf = (
  paths: Readonly<Record<string, string>>,
  what = "Kubernetes"
): Effect.Effect<string, LocalFailure> => {
  const built = join(builtFolder(parts.kubernetes, process.env), kubectlBinary!.name)
  const path = paths.kubectl ?? onPath(process.env, "kubectl") ?? (isExecutable(built) ? built : undefined)
  return path === undefined
    ? Effect.fail(new LocalFailure({ what, detail: "kubectl is needed: put one on PATH" }))
    : Effect.succeed(path)
}

const answersOk = (url: string): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const asked = request(url, { timeout: probeMillis, agent: false }, (response) => {
      response.resume()
      resume(Effect.succeed(response.statusCode === 200))
    })
    asked.on("timeout", () => asked.destroy())
    asked.on("error", () => resume(Effect.succeed(false)))
    asked.end()
    return Effect.sync(() => asked.destroy())
  })

/**
 * The files that the API server reads; written once for a directory, so that a kept one keeps its tokens
 * valid.
 */
const writeFiles = (path: string): Effect.Effect<string, LocalFailure> =>
  Effect.try({
    try: () => {
      const tokens = join(path, "tokens.csv")
      mkdirSync(join(path, "certs"), { recursive: true })
      if (!existsSync(tokens)) {
        const { privateKey, publicKey } = generateKeyPairSync("ec", {
          namedCurve: "P-256",
          publicKeyEncoding: { type: "spki", format: "pem" },
          privateKeyEncoding: { type: "pkcs8", format: "pem" }
        })
        writeFileSync(join(path, "sa.key"), privateKey, { mode: 0o600 })
        writeFileSync(join(path, "sa.pub"), publicKey)
        writeFileSync(tokens, `${randomBytes(24).toString("hex")},admin,1,"system:masters"\n`, {
          mode: 0o600
        })
      }
      return readFileSync(tokens, "utf8").split(",")[0]!
    },
    catch: (cause) => new LocalFailure({ what: `Kubernetes: ${path}`, detail: reasonOf(cause), cause })
  })

const apiServerArgs = (path: string, port: number, etcdUrl: string): ReadonlyArray<string> => [
  `--etcd-servers=${etcdUrl}`,
  "--bind-address=127.0.0.1",
  `--secure-port=${port}`,
  // Else it looks for a default route, and has none in a network namespace of its own; and nobody asks for
  // the endpoints of `kubernetes`, which may not be on the loopback.
  "--advertise-address=127.0.0.1",
  "--endpoint-reconciler-type=none",
  `--cert-dir=${join(path, "certs")}`,
  `--service-account-key-file=${join(path, "sa.pub")}`,
  `--service-account-signing-key-file=${join(path, "sa.key")}`,
  "--service-account-issuer=https://kubernetes.default.svc",
  `--token-auth-file=${join(path, "tokens.csv")}`,
  "--authorization-mode=RBAC",
  "--service-cluster-ip-range=10.96.0.0/12",
  "--allow-privileged=true",
  // There is no controller manager that would make service accounts, so pods must not wait for them.
  "--disable-admission-plugins=ServiceAccount"
]

const start = (
  at: Bench,
  found: Found,
  options: ControlPlaneOptions
): Effect.Effect<OwnControlPlane, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* directory("kubernetes", options.directory, at.ledger)
    const token = yield* writeFiles(path)
    const [etcdPort, peerPort, port] = (yield* freePorts(3)) as [number, number, number]
    const mounts = [{ path, mode: "rw" }] as const
    const etcdUrl = `http://127.0.0.1:${etcdPort}`
    const peerUrl = `http://127.0.0.1:${peerPort}`
    const dataDir = join(path, "etcd")
    const startEtcd = runBinary(at, found, etcdBinary!, {
      args: [
        `--data-dir=${dataDir}`,
        `--listen-client-urls=${etcdUrl}`,
        `--advertise-client-urls=${etcdUrl}`,
        `--listen-peer-urls=${peerUrl}`,
        // A power cut takes the whole of this machine's stack with it.
        "--unsafe-no-fsync",
        // As kubeadm starts it: else the API server has no bookmarks for what never changes.
        "--watch-progress-notify-interval=5s",
        ...(options.etcdArgs ?? [])
      ],
      log: join(path, "etcd.log"),
      ready: answersOk(`${etcdUrl}/health`),
      readyWithinSeconds: etcdWithinSeconds,
      mounts
    })
    const server = `https://127.0.0.1:${port}`
    const certificate = join(path, "certs", "apiserver.crt")
    const access = () => ({ server, token, ca: readFileSync(certificate, "utf8") })
    const startApiServer = runBinary(at, found, apiServerBinary!, {
      args: [...apiServerArgs(path, port, etcdUrl), ...(options.apiServerArgs ?? [])],
      log: join(path, "kube-apiserver.log"),
      // It signs its own certificate at the first start; with that as authority no other server can answer
      // for it.
      ready: Effect.suspend(() =>
        existsSync(certificate)
          ? Effect.map(get(access(), "/readyz", probeMillis), (body) => body === "ok")
          : Effect.succeed(false)
      ),
      readyWithinSeconds: apiServerWithinSeconds,
      mounts
    })
    // One after the other: an API server that has waited long for etcd gives up.
    const etcd = yield* startEtcd
    const apiServer = yield* startApiServer
    const kubeconfig = join(path, "kubeconfig")
    writeFileSync(kubeconfig, kubeconfigOf(access()), { mode: 0o600 })
    const version = yield* versionOf(access())
    const kubectl = yield* kubectlOf(found._tag === "Binaries" ? found.paths : {})
    const kept = { ...etcd, dataDir, port: etcdPort }
    return { kubeconfig, ...access(), port, kubectl, version, directory: path, etcd: kept, apiServer }
  })

/** An API server with an etcd of our own, ended with the scope, wherever the user points. */
export const ownControlPlane = (
  options: ControlPlaneOptions = {}
): Effect.Effect<OwnControlPlane, LocalFailure, Scope.Scope> =>
  startPart(parts.kubernetes, options.say, (at, found) => start(at, found, options))

/** The cluster that `EXTIP_KUBECONFIG` points to, else a control plane of our own. Ready when it returns. */
export const controlPlane = (
  options: ControlPlaneOptions = {}
): Effect.Effect<ControlPlane, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const kubeconfig = process.env[parts.kubernetes.pointer]
    if (kubeconfig === undefined || kubeconfig === "") return yield* ownControlPlane(options)
    const kubectl = yield* kubectlOf({}, parts.kubernetes.pointer)
    const access = yield* readAccess(kubeconfig)
    const version = yield* versionOf(access)
    options.say?.(`Kubernetes: took ${access.server} (${version}), from ${parts.kubernetes.pointer}`)
    const { server, token, ca } = access
    const port = Number(new URL(server).port || 443)
    return { kubeconfig, server, port, token, ca, kubectl, version, directory: "" }
  })
