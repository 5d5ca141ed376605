import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "#runtime"

const strings = Schema.optionalKey(Schema.Array(Schema.String))
const string = Schema.optionalKey(Schema.String)

const ServicePort = Schema.Struct({
  name: string,
  protocol: string,
  port: Schema.Int,
  nodePort: Schema.optionalKey(Schema.Int)
})
export type ServicePort = typeof ServicePort.Type

/** `ports` is not ours to use, but a list is patched whole: another controller's entry must come back as it was. */
const ServiceIngress = Schema.Struct({
  ip: string,
  hostname: string,
  ipMode: string,
  ports: Schema.optionalKey(
    Schema.Array(Schema.Struct({ port: Schema.Int, protocol: Schema.String, error: string }))
  )
})
export type ServiceIngress = typeof ServiceIngress.Type

const service = Schema.Struct({
  metadata: Metadata,
  spec: Schema.optionalKey(
    Schema.Struct({
      type: string,
      clusterIP: string,
      clusterIPs: strings,
      ipFamilies: strings,
      ipFamilyPolicy: string,
      externalIPs: strings,
      ports: Schema.optionalKey(Schema.Array(ServicePort)),
      selector: Schema.optionalKey(Schema.Record(Schema.String, Schema.String)),
      externalTrafficPolicy: string,
      loadBalancerClass: string,
      loadBalancerIP: string,
      externalName: string
    })
  ),
  status: Schema.optionalKey(
    Schema.Struct({
      loadBalancer: Schema.optionalKey(
        Schema.Struct({ ingress: Schema.optionalKey(Schema.Array(ServiceIngress)) })
      )
    })
  )
})
export type Service = typeof service.Type
export const Service = defineKind<Service>({
  group: "",
  version: "v1",
  kind: "Service",
  plural: "services",
  namespaced: true,
  schema: service
})

const namespace = Schema.Struct({ metadata: Metadata })
export type Namespace = typeof namespace.Type
export const Namespace = defineKind<Namespace>({
  group: "",
  version: "v1",
  kind: "Namespace",
  plural: "namespaces",
  namespaced: false,
  schema: namespace
})

const node = Schema.Struct({
  metadata: Metadata,
  spec: Schema.optionalKey(
    Schema.Struct({ podCIDR: string, podCIDRs: strings, unschedulable: Schema.optionalKey(Schema.Boolean) })
  ),
  status: Schema.optionalKey(
    Schema.Struct({
      addresses: Schema.optionalKey(
        Schema.Array(Schema.Struct({ type: Schema.String, address: Schema.String }))
      ),
      conditions: Schema.optionalKey(
        Schema.Array(Schema.Struct({ type: Schema.String, status: Schema.String }))
      )
    })
  )
})
export type Node = typeof node.Type
export const Node = defineKind<Node>({
  group: "",
  version: "v1",
  kind: "Node",
  plural: "nodes",
  namespaced: false,
  schema: node
})
