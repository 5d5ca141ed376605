import { afterAll, beforeAll, describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { IpClaimPool } from "../../functions/domain/kinds.ts"
import { defaultSourceTimes, newestVersion, watch } from "../../runtime/bridge/source.ts"
import { type KindId, resourceName } from "../../runtime/Kind.ts"
import { MemoryApi } from "../../runtime/testkit.ts"
import { Cluster } from "../support/cluster.ts"
import { withControlPlane } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { type Backend, Paint, type Told } from "./backend.ts"
import { servesFunctions } from "./functions.ts"
import { keepsObjects } from "./objects.ts"
import { keepsStatus } from "./status.ts"

const memory = (): Backend => {
  const api = new MemoryApi()
  return {
    api,
    namespace: "contract",
    follow: async (kind) => {
      const told: Array<Told> = []
      const end = api.watch((event) => {
        if (event.kind.plural === kind.plural) told.push(event)
      })
      return async () => {
        end()
        return told
      }
    }
  }
}

const verbs = { ADDED: "added", MODIFIED: "modified", DELETED: "deleted" } as const

/** Watches as the bridge does, from the present version on, until the version at which it is asked has been reached. */
const follow = (cluster: Cluster) => async (kind: KindId) => {
  const told: Array<Told> = []
  const ended = new AbortController()
  const from = await newestVersion(cluster.access, kind, defaultSourceTimes, ended.signal)
  const watching = (async () => {
    for await (const event of watch(cluster.access, kind, from, defaultSourceTimes, ended.signal)) {
      if (event.type !== "BOOKMARK") told.push({ verb: verbs[event.type], object: event.object })
    }
  })().catch(() => undefined)
  return async () => {
    const marker = {
      apiVersion: "ipcontroller.ext/v1",
      metadata: { name: "contract-marker" },
      spec: { cidr: "10.9.9.0/24" }
    }
    await cluster.create(kind, marker)
    await cluster.delete(kind, { namespace: "", name: "contract-marker" })
    await until("the watch to tell of the marker's deletion", () =>
      told.some(({ verb, object }) => verb === "deleted" && object.metadata.name === "contract-marker")
    )
    ended.abort()
    await watching
    return told
  }
}

const definitionOf = ({ group, version, kind, plural }: KindId) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `${plural}.${group}` },
  spec: {
    group,
    names: { kind, plural },
    scope: "Namespaced",
    versions: [
      {
        name: version,
        served: true,
        storage: true,
        subresources: { status: {} },
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } }
      }
    ]
  }
})

describe("Kubernetes in memory", () => {
  const backend = memory()
  keepsObjects(() => backend)
  keepsStatus(() => backend)
  describe("as a function has it", () => servesFunctions(() => backend))
})

withControlPlane("Kubernetes itself", (shared) => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.open(shared)
    await cluster.applyCrds()
    await cluster.namespace("contract")
    await cluster.kubectl("apply -f -", JSON.stringify(definitionOf(Paint)))
    await cluster.kubectl(`wait --for=condition=Established crd/${resourceName(Paint)} --timeout=30s`)
    const isServed = async () => (await cluster.list(Paint)).length === 0
    await until("Paint to be served", isServed, { seconds: 30 })
  })
  afterAll(async () => {
    // Pools that are open to all would give addresses to the Services of other files.
    for (const { metadata } of await cluster.list(IpClaimPool)) {
      const ref = { namespace: "", name: metadata.name }
      if (!ref.name.startsWith("contract-")) continue
      await cluster.patch(IpClaimPool, ref, { metadata: { finalizers: null } })
      await cluster.delete(IpClaimPool, ref)
    }
    await cluster.kubectl(`delete crd ${resourceName(Paint)}`)
    await cluster.close()
  })
  const backend = () => ({ api: cluster.api, namespace: "contract", follow: follow(cluster) })
  keepsObjects(backend)
  keepsStatus(backend)
  describe("as a function has it", () => servesFunctions(backend))

  it("answers to a deletion with what is left: a Pod on a node has a grace period, one on none has not", async () => {
    const kind = { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true }
    const left: Array<boolean> = []
    for (const [name, nodeName] of Object.entries({ "on-none": undefined, "on-one": "nowhere" })) {
      const ref = { namespace: "contract", name }
      const containers = [{ name: "one", image: "none" }]
      const body = { apiVersion: "v1", kind: "Pod", metadata: ref, spec: { containers, nodeName } }
      await cluster.create(kind, body)
      const answer = await Effect.runPromise(cluster.api.remove(kind, ref, {}))
      left.push(answer?.metadata.deletionTimestamp !== undefined)
      // No kubelet ends it here.
      await cluster.kubectl(`-n contract delete pod ${name} --force --grace-period=0 --ignore-not-found`)
    }
    expect(left).toEqual([false, true])
  })
})
