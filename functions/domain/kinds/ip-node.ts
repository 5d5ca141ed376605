import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "#runtime"
import { Conditions, group, linkText, text } from "./common.ts"

const NodeSpec = Schema.Struct({
  unschedulable: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "True: the node is given no further addresses, and hands over those that it has (default false)."
    })
  ),
  links: Schema.optionalKey(
    Schema.Array(text("The name of a network interface.", linkText)).annotate({
      description: "The network interfaces that may carry external addresses. Left out: all that fit.",
      minItems: 1,
      maxItems: 64,
      "x-kubernetes-list-type": "set"
    })
  )
})

const NodeStatus = Schema.Struct({
  ready: Schema.optionalKey(
    Schema.Boolean.annotate({ description: "Whether extip runs on the node and can bind addresses." })
  ),
  addresses: Schema.optionalKey(
    Schema.Int.annotate({ description: "How many external addresses the node holds.", format: "int32" })
  ),
  link: Schema.optionalKey(text("The network interface that carries them by default.", linkText)),
  macs: Schema.optionalKey(
    Schema.Array(text("A hardware address.", { maxLength: 17 })).annotate({
      description: "The hardware addresses of the node's interfaces: answers from these are no conflict.",
      maxItems: 256,
      "x-kubernetes-list-type": "atomic"
    })
  ),
  since: Schema.optionalKey(text("When ready last changed.", { format: "date-time", maxLength: 64 })),
  conditions: Schema.optionalKey(Conditions("Ready: whether the node can bind addresses, and if not, why."))
})

const schema = Schema.Struct({
  metadata: Metadata,
  spec: Schema.optionalKey(NodeSpec.annotate({ description: "What the node may be used for." })),
  status: Schema.optionalKey(
    NodeStatus.annotate({ description: "What extip observed. Written by extip only." })
  )
})

/** A node that external addresses can be bound to, by the name of the Kubernetes Node. */
export type IpNode = typeof schema.Type
export const IpNode = defineKind<IpNode>({
  group,
  version: "v1",
  kind: "IpNode",
  plural: "ipnodes",
  namespaced: false,
  schema
})
