import { mkdtempSync, readFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { IpClaim, IpClaimPool, Namespace, Service } from "../../functions/domain/kinds.ts"
import { freePorts } from "../../infra/local/files.ts"
import {
  type LocalFailure,
  type LocalProcess,
  localProgram,
  type OwnControlPlane,
  type OwnNatsServer,
  ownControlPlane,
  ownNatsServer
} from "../../infra/local/index.ts"
import { smallHeap } from "../../runtime/cli/heap.ts"
import { applyFile, kubectlIn } from "../../runtime/cli/kubectl.ts"
import { type ClusterAccess, openCluster } from "../../runtime/kube/access.ts"
import { collectionPath, type KubeApi, type RawObject } from "../../runtime/kube/api.ts"
import { call, httpApi } from "../../runtime/kube/http.ts"

export const root = join(import.meta.dirname, "../..")

/** One API server, one NATS, and a bare client. */
export interface Rig {
  readonly plane: OwnControlPlane
  readonly nats: OwnNatsServer
  readonly cluster: ClusterAccess
  readonly api: KubeApi
  readonly directory: string
}

/** One of our processes. */
export interface Ours {
  readonly process: LocalProcess
  readonly health: string
  /** Resident memory, in megabytes, as the kernel counts it. */
  readonly residentMegabytes: () => number
}

export const makeRig = (say: (line: string) => void): Effect.Effect<Rig, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const [plane, nats] = yield* Effect.all([ownControlPlane({ say }), ownNatsServer({ say })], {
      concurrency: 2
    })
    yield* applyFile(kubectlIn(plane.kubectl, plane.kubeconfig), join(root, "infra/crds"))
    const cluster = yield* openCluster(plane.kubeconfig)
    return {
      plane,
      nats,
      cluster,
      api: httpApi(cluster),
      directory: mkdtempSync(join(tmpdir(), "extip-bench-"))
    }
  })

/** Starts a bridge or a function host as an administrator would, and waits until it is ready. */
export const startOurs = (
  rig: Rig,
  name: "bridge" | "functions",
  args: ReadonlyArray<string> = []
): Effect.Effect<Ours, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const [port] = (yield* freePorts(1)) as [number]
    const health = `http://127.0.0.1:${port}`
    const process_ = yield* localProgram({
      name: `extip ${name}`,
      path: process.execPath,
      args: [
        ...smallHeap,
        join(root, "runtime/cli/main.js"),
        name,
        "--http",
        `127.0.0.1:${port}`,
        "--kubeconfig",
        rig.plane.kubeconfig,
        "--nats",
        rig.nats.url,
        ...args
      ],
      log: join(rig.directory, `${name}-${port}.log`),
      ready: Effect.promise(() =>
        fetch(`${health}/readyz`).then(
          (answer) => answer.ok,
          () => false
        )
      ),
      readyWithinSeconds: 120
    })
    // Asked to end before it is made to: as an administrator's restart does.
    yield* Effect.addFinalizer(() => process_.kill("SIGTERM"))
    const pid = yield* process_.pid
    const residentMegabytes = () => {
      const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
      return Math.round(Number(kilobytes) / 1000)
    }
    return { process: process_, health, residentMegabytes }
  })

const bench = { manager: "bench" }
export const run = <A>(effect: Effect.Effect<A, unknown>): Promise<A> =>
  Effect.runPromise(effect as Effect.Effect<A>)

/** Runs `each` for 0 … count-1, so many at a time. */
export const inParallel = async (
  count: number,
  concurrency: number,
  each: (index: number) => Promise<unknown>
): Promise<void> => {
  let next = 0
  const worker = async () => {
    while (next < count) await each(next++)
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker))
}

export const createNamespace = (rig: Rig, name: string): Promise<unknown> =>
  run(rig.api.create(Namespace, "", { apiVersion: "v1", kind: "Namespace", metadata: { name } }, bench))

export const createPool = (
  rig: Rig,
  name: string,
  spec: {
    readonly cidr: string
    readonly ranges?: ReadonlyArray<readonly [string, string]>
    readonly namespaces?: ReadonlyArray<string>
  }
): Promise<unknown> =>
  run(
    rig.api.create(
      IpClaimPool,
      "",
      { apiVersion: "ipcontroller.ext/v1", kind: "IpClaimPool", metadata: { name }, spec },
      bench
    )
  )

export const createService = (
  rig: Rig,
  namespace: string,
  name: string,
  annotations = {}
): Promise<RawObject> =>
  run(
    rig.api.create(
      Service,
      namespace,
      {
        apiVersion: "v1",
        kind: "Service",
        metadata: { name, annotations },
        spec: { ports: [{ port: 80, protocol: "TCP" }], selector: { app: name } }
      },
      bench
    )
  )

export const ask = (rig: Rig, namespace: string, name: string): Promise<RawObject> =>
  run(
    rig.api.mergePatch(
      Service,
      { namespace, name },
      { metadata: { annotations: { "external-ip": "auto" } } },
      bench
    )
  )

export const remove = (rig: Rig, kind: typeof Service | typeof IpClaim, namespace: string, name: string) =>
  run(rig.api.remove(kind as never, { namespace, name }, {}))

export const listAll = async (
  rig: Rig,
  kind: typeof Service | typeof IpClaim,
  namespace = ""
): Promise<ReadonlyArray<RawObject>> => {
  const answer = await run(
    call(rig.cluster, { method: "GET", path: collectionPath(kind as never, namespace), operation: "list" })
  )
  return (answer as { items: ReadonlyArray<RawObject> }).items
}

export const addressesOf = (object: RawObject): ReadonlyArray<string> =>
  ((object["spec"] as { externalIPs?: ReadonlyArray<string> }).externalIPs ?? []) as ReadonlyArray<string>

/** What the bare client does for one Service: the same four writes that we do, and nothing else. */
export const bareAllocation = async (
  rig: Rig,
  namespace: string,
  name: string,
  address: string
): Promise<void> => {
  const asked = await run(
    rig.api.mergePatch(
      Service,
      { namespace, name },
      { metadata: { annotations: { "bare-ip": "auto" } } },
      bench
    )
  )
  await bareGrant(rig, asked, address)
}

/** The bare client gives an address to a Service that asks: the claim, the address on the Service, the Event. */
export const bareGrant = async (rig: Rig, asked: RawObject, address: string): Promise<void> => {
  const { name, namespace = "" } = asked.metadata
  const claim = {
    apiVersion: "ipcontroller.ext/v1",
    kind: "IpClaim",
    metadata: { name: address.replaceAll(".", "-"), labels: { "ip-pool-name": "bare" } },
    spec: {
      cidr: `${address}/32`,
      pool: "bare",
      services: [
        {
          namespace,
          name,
          uid: asked.metadata.uid,
          origin: "allocated",
          ports: [{ port: 80, protocol: "TCP" }]
        }
      ]
    }
  }
  await run(rig.api.create(IpClaim, "", claim, bench))
  const patch = {
    metadata: {
      uid: asked.metadata.uid,
      resourceVersion: asked.metadata.resourceVersion,
      annotations: { "ipcontroller.ext/allocated": address }
    },
    spec: { externalIPs: [address] }
  }
  await run(rig.api.mergePatch(Service, { namespace, name }, patch, bench))
  const now = new Date().toISOString()
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: `${name}.bare`, namespace },
    involvedObject: { apiVersion: "v1", kind: "Service", namespace, name, uid: asked.metadata.uid },
    type: "Normal",
    reason: "IPAllocated",
    message: `Assigned IP ${address}`,
    source: { component: "bare" },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1
  }
  const kind = { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true }
  await run(rig.api.create(kind, namespace, event, bench))
}
