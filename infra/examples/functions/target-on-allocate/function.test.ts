import { expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Service } from "extip/kinds"
import { TestCluster } from "extip/testkit"
import { targetOnAllocate } from "./function.ts"

const web = { namespace: "default", name: "web" }
const target = "external-dns.alpha.kubernetes.io/target"

it.effect("tells external-dns the address, once", () =>
  Effect.gen(function* () {
    const cluster = new TestCluster([targetOnAllocate])
    const annotations = { "ipcontroller.ext/allocated": "192.168.0.249" }
    yield* cluster.create(Service, { metadata: { ...web, annotations }, spec: { type: "ClusterIP" } })
    yield* cluster.settle()
    expect(cluster.now(Service, web)?.metadata.annotations?.[target]).toBe("192.168.0.249")
    expect(cluster.runs.filter(({ ended }) => ended._tag === "Done")).toHaveLength(1)
  })
)

it.effect("leaves a Service without an address alone", () =>
  Effect.gen(function* () {
    const cluster = new TestCluster([targetOnAllocate])
    yield* cluster.create(Service, { metadata: web, spec: { type: "ClusterIP" } })
    yield* cluster.settle()
    expect(cluster.now(Service, web)?.metadata.annotations).toBeUndefined()
  })
)
