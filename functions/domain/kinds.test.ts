import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { IpClaim, IpClaimPool, IpNode, Node, Service } from "./kinds.ts"

const metadata = { name: "x", uid: "1", resourceVersion: "1", creationTimestamp: "2026-01-01T00:00:00Z" }

describe("an object is read", () => {
  it.each([
    [
      "a Service without ports and status",
      Service,
      { spec: { type: "ExternalName", externalName: "x.org" } }
    ],
    ["a Service with an empty status", Service, { spec: {}, status: { loadBalancer: {} } }],
    ["a Service without anything", Service, {}],
    ["a port of an unknown protocol", Service, { spec: { ports: [{ port: 80, protocol: "QUIC" }] } }],
    ["a Node that has just joined", Node, { spec: {}, status: {} }],
    ["a pool without status", IpClaimPool, { spec: { cidr: "10.0.0.0/24" } }],
    [
      "a pool that the API server would refuse today",
      IpClaimPool,
      { spec: { cidr: "none", ranges: [[]] }, status: {} }
    ],
    ["a claim with an address only", IpClaim, { spec: { cidr: "10.0.0.1/32" } }],
    ["a node without spec", IpNode, {}]
  ])("%s", (_, kind, object) => {
    const raw: unknown = { metadata, ...object }
    expect(Schema.decodeUnknownSync(kind.schema)(raw)).toEqual({ metadata, ...object })
  })

  it("without the fields that we do not use", () => {
    const raw: unknown = {
      apiVersion: "v1",
      kind: "Service",
      metadata: { ...metadata, managedFields: [{ manager: "kubectl" }] },
      spec: { type: "ClusterIP", sessionAffinity: "None" }
    }
    const service = Schema.decodeUnknownSync(Service.schema)(raw)
    expect(service).toEqual({ metadata, spec: { type: "ClusterIP" } })
  })
})
