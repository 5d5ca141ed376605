import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "#runtime"
import { poolRules } from "../crd/rules.ts"
import {
  addressText,
  Conditions,
  cidrText,
  group,
  LabelSelector,
  linkText,
  nameText,
  text
} from "./common.ts"

const Range = Schema.Array(text("An end of the range; both ends belong to it.", addressText)).annotate({
  description: "First and last address, both inclusive.",
  maxItems: 2,
  "x-kubernetes-list-type": "atomic",
  ...poolRules.range
})

/** What a pool's author writes. */
export const PoolSpec = Schema.Struct({
  cidr: text(
    "The network that the addresses come from, IPv4 or IPv6, such as 192.168.0.248/29 or fd00:1::/64.",
    { ...cidrText, ...poolRules.cidr }
  ),
  ranges: Schema.optionalKey(
    Schema.Array(Range).annotate({
      description:
        "Which addresses of the cidr may be given out, as pairs of first and last address (inclusive). Left out: every usable address. The network and broadcast address of an IPv4 cidr are never given out.",
      maxItems: 256,
      "x-kubernetes-list-type": "atomic",
      ...poolRules.ranges
    })
  ),
  autoAssign: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "Whether a Service that asks for any address may get one from here (default true). False: only Services that name this pool or one of its addresses."
    })
  ),
  priority: Schema.optionalKey(
    Schema.Int.annotate({
      description: "Pools with a higher priority are tried first (default 0); equal ones by name.",
      format: "int32"
    })
  ),
  namespaces: Schema.optionalKey(
    Schema.Array(text("The name of a namespace.", { maxLength: 63 })).annotate({
      description:
        "Namespaces whose Services may use the pool, in addition to those that namespaceSelector selects. Both left out: all.",
      minItems: 1,
      maxItems: 1024,
      "x-kubernetes-list-type": "set"
    })
  ),
  namespaceSelector: Schema.optionalKey(
    LabelSelector.annotate({
      description:
        "Selects by label the namespaces whose Services may use the pool, in addition to those in namespaces."
    })
  ),
  serviceSelector: Schema.optionalKey(
    LabelSelector.annotate({
      description: "Selects by label the Services that may use the pool (default: all)."
    })
  ),
  avoidBuggyIPs: Schema.optionalKey(
    Schema.Boolean.annotate({
      description:
        "Leave out IPv4 addresses that end in .0 or .255, which some old clients and routers refuse (default false)."
    })
  ),
  nodeSelector: Schema.optionalKey(
    LabelSelector.annotate({
      description: "Selects by label the nodes that may hold the pool's addresses (default: all)."
    })
  ),
  link: Schema.optionalKey(
    text(
      "The network interface, on every node, that the pool's addresses are put on. Left out: the one with the address's subnet.",
      linkText
    )
  )
})
export type PoolSpec = typeof PoolSpec.Type

const PoolStatus = Schema.Struct({
  allocated: Schema.optionalKey(
    Schema.Record(Schema.String, text("The name of the IpClaim that holds the address.", nameText)).annotate({
      description:
        "Addresses in use, and the claim that holds each. Left out above 4,096; a condition says so.",
      "x-kubernetes-map-type": "atomic"
    })
  ),
  capacity: Schema.optionalKey(
    Schema.Int.annotate({
      description:
        "How many addresses the pool can give out (9007199254740991 stands for that many or more).",
      format: "int64"
    })
  ),
  used: Schema.optionalKey(
    Schema.Int.annotate({ description: "How many of them are in use.", format: "int64" })
  ),
  available: Schema.optionalKey(
    Schema.Int.annotate({
      description: "How many of them are free (9007199254740991 stands for that many or more).",
      format: "int64"
    })
  ),
  conditions: Schema.optionalKey(
    Conditions("Valid: the pool may be used, or what is wrong with it. Exhausted: no address is free.")
  ),
  observedGeneration: Schema.optionalKey(
    Schema.Int.annotate({
      description: "The metadata.generation that this status is about.",
      format: "int64"
    })
  )
})

const schema = Schema.Struct({
  metadata: Metadata,
  spec: PoolSpec.annotate({
    description: "What the pool consists of and who may use it.",
    ...poolRules.spec
  }),
  status: Schema.optionalKey(
    PoolStatus.annotate({ description: "What extip observed. Written by extip only." })
  )
})

/** A pool of external addresses. */
export type IpClaimPool = typeof schema.Type
export const IpClaimPool = defineKind<IpClaimPool>({
  group,
  version: "v1",
  kind: "IpClaimPool",
  plural: "ipclaimpools",
  namespaced: false,
  schema
})
