import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "#runtime"

const flag = Schema.optionalKey(Schema.Boolean)

const Endpoint = Schema.Struct({
  nodeName: Schema.optionalKey(Schema.String),
  conditions: Schema.optionalKey(Schema.Struct({ ready: flag, serving: flag, terminating: flag }))
})

const schema = Schema.Struct({
  metadata: Metadata,
  // The API server writes `null` where there is none.
  endpoints: Schema.optionalKey(Schema.NullOr(Schema.Array(Endpoint)))
})

/** Where the pods behind a Service run. The label `kubernetes.io/service-name` says which Service. */
export type EndpointSlice = typeof schema.Type
export const EndpointSlice = defineKind<EndpointSlice>({
  group: "discovery.k8s.io",
  version: "v1",
  kind: "EndpointSlice",
  plural: "endpointslices",
  namespaced: true,
  schema
})
