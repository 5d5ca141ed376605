import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "#runtime"
import { claimRules } from "../crd/rules.ts"
import { Conditions, cidrText, group, linkText, nameText, text } from "./common.ts"

/** The most that a claim can say: the API server refuses it whole if there is more. */
export const claimLimits = {
  /** Services of a claim. */
  services: 256,
  /** Ports of each of them. */
  ports: 1024,
  /** Characters of a sharing key. */
  share: nameText.maxLength
} as const

const ClaimedPort = Schema.Struct({
  protocol: Schema.Literals(["TCP", "UDP", "SCTP"]).annotate({
    description: "The protocol of the port: TCP, UDP or SCTP."
  }),
  port: Schema.Int.annotate({
    description: "The port that the Service serves on the address.",
    format: "int32"
  })
})

/** A Service that holds a claim's address. `ports` and `share` decide who else may. */
export const ClaimedService = Schema.Struct({
  namespace: text("The Service's namespace.", { maxLength: 63 }),
  name: text("The Service's name.", { maxLength: 63 }),
  uid: text("The Service's uid: one that is deleted and created again is another one.", { maxLength: 64 }),
  origin: Schema.Literals(["allocated", "external"]).annotate({
    description:
      "allocated: extip gave the address to the Service. external: its author wrote it into spec.externalIPs."
  }),
  ports: Schema.optionalKey(
    Schema.Array(ClaimedPort.annotate({ description: "One port of the Service." })).annotate({
      description: "The Service's ports on the address. Services that share an address have different ones.",
      maxItems: claimLimits.ports,
      "x-kubernetes-list-type": "atomic"
    })
  ),
  share: Schema.optionalKey(
    text(
      "The Service's sharing key (annotation external-ip-share). Services of one namespace with one key may share the address.",
      { maxLength: claimLimits.share }
    )
  )
})
export type ClaimedService = typeof ClaimedService.Type

const ClaimSpec = Schema.Struct({
  cidr: text("The address with its mask: /32 for IPv4, /128 for IPv6. The claim's name says the same.", {
    ...cidrText,
    ...claimRules.cidr
  }),
  pool: Schema.optionalKey(text("The IpClaimPool that the address was taken from.", nameText)),
  nodeName: Schema.optionalKey(text("Pins the address to this node. Left out: extip chooses one.", nameText)),
  link: Schema.optionalKey(
    text(
      "Pins the address to this network interface of its node. Left out: the one with its subnet.",
      linkText
    )
  ),
  services: Schema.optionalKey(
    Schema.Array(ClaimedService.annotate({ description: "One Service that holds the address." })).annotate({
      description: "The Services that hold the address. Without any, extip deletes the claim.",
      maxItems: claimLimits.services,
      "x-kubernetes-list-type": "atomic"
    })
  )
})

const ClaimStatus = Schema.Struct({
  phase: Schema.optionalKey(
    Schema.Literals(["Pending", "Bound", "Conflict"]).annotate({
      description:
        "Pending: on no node. Bound: on a node and announced. Conflict: another machine on the network answers for the address."
    })
  ),
  node: Schema.optionalKey(
    text("The node that holds the address. While that is lost and no other has it: the last one.", nameText)
  ),
  link: Schema.optionalKey(text("The network interface that the address is on.", linkText)),
  mac: Schema.optionalKey(
    text("The hardware address that the address was announced with.", { maxLength: 17 })
  ),
  boundAt: Schema.optionalKey(
    text("When the address was bound to the node that has it, or had it last.", {
      format: "date-time",
      maxLength: 64
    })
  ),
  retryAt: Schema.optionalKey(
    text("When the address is tried again after a conflict.", { format: "date-time", maxLength: 64 })
  ),
  conditions: Schema.optionalKey(Conditions("Bound: whether the address is on a node, and if not, why."))
})

const schema = Schema.Struct({
  metadata: Metadata,
  spec: ClaimSpec.annotate({
    description: "Which address is held, for whom, and where."
  }),
  status: Schema.optionalKey(
    ClaimStatus.annotate({ description: "What extip observed. Written by extip only." })
  )
})

/** One external address that is in use. Its name is the address, so that there cannot be two claims of one. */
export type IpClaim = typeof schema.Type
export const IpClaim = defineKind<IpClaim>({
  group,
  version: "v1",
  kind: "IpClaim",
  plural: "ipclaims",
  namespaced: false,
  schema
})
