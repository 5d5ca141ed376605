import type { Kind } from "#runtime"
import { IpClaim, IpClaimPool, IpNode } from "../kinds.ts"
import { claimRules } from "./rules.ts"

interface Column {
  readonly name: string
  readonly type: "string" | "integer" | "boolean" | "date"
  readonly jsonPath: string
  readonly description: string
  /** Above 0 it is shown by `kubectl get -o wide` only. */
  readonly priority?: number
}

/** What a CRD says of a kind beside its Schema. */
export interface CustomResource {
  readonly kind: Kind<any>
  readonly singular: string
  readonly shortNames: ReadonlyArray<string>
  readonly description: string
  /** Keywords of the whole object's schema, such as rules that need its name. */
  readonly object: { readonly [keyword: string]: unknown }
  readonly columns: ReadonlyArray<Column>
  /** Fields that `kubectl get --field-selector` takes. */
  readonly selectable: ReadonlyArray<string>
}

const age: Column = {
  name: "Age",
  type: "date",
  jsonPath: ".metadata.creationTimestamp",
  description: "Time since it was created."
}

const column = (name: string, type: Column["type"], jsonPath: string, description: string): Column => ({
  name,
  type,
  jsonPath,
  description
})

/** As `column`, for `-o wide`. */
const wide = (...shown: Parameters<typeof column>): Column => ({ ...column(...shown), priority: 1 })

export const customResources: ReadonlyArray<CustomResource> = [
  {
    kind: IpClaimPool,
    singular: "ipclaimpool",
    shortNames: ["ippool"],
    description: "A pool of external addresses that Services are given.",
    object: {},
    columns: [
      column("CIDR", "string", ".spec.cidr", "The network that the addresses come from."),
      column("Used", "integer", ".status.used", "Addresses in use."),
      column("Available", "integer", ".status.available", "Addresses that are free."),
      column("Capacity", "integer", ".status.capacity", "Addresses that can be given out."),
      column(
        "Valid",
        "string",
        '.status.conditions[?(@.type=="Valid")].status',
        "Whether the pool may be used; if not, its condition says why."
      ),
      age
    ],
    selectable: []
  },
  {
    kind: IpClaim,
    singular: "ipclaim",
    shortNames: ["ipc"],
    description:
      "One external address that is in use. Its name is the address with dashes, so that there cannot be two claims of one. Made by extip.",
    object: claimRules.object,
    columns: [
      column("Address", "string", ".spec.cidr", "The address."),
      column("Pool", "string", ".spec.pool", "The pool that it was taken from."),
      column("Namespace", "string", ".spec.services[0].namespace", "The first Service's namespace."),
      column("Service", "string", ".spec.services[0].name", "The first Service that holds the address."),
      column("Node", "string", ".status.node", "The node that holds the address."),
      column("Phase", "string", ".status.phase", "Pending, Bound or Conflict."),
      age,
      wide("Link", "string", ".status.link", "The network interface that the address is on."),
      wide("MAC", "string", ".status.mac", "The hardware address that answers for it."),
      wide("Bound", "date", ".status.boundAt", "Time since it was bound to its node."),
      wide(
        "Reason",
        "string",
        '.status.conditions[?(@.type=="Bound")].message',
        "Where the address is, or why it is on no node."
      )
    ],
    selectable: [".status.node", ".spec.pool"]
  },
  {
    kind: IpNode,
    singular: "ipnode",
    shortNames: ["ipn"],
    description: "A node that external addresses can be bound to, by the name of the Kubernetes Node.",
    object: {},
    columns: [
      column("Ready", "boolean", ".status.ready", "Whether the node can bind addresses."),
      column("Addresses", "integer", ".status.addresses", "External addresses that the node holds."),
      column("Link", "string", ".status.link", "The network interface that carries them."),
      column("Since", "date", ".status.since", "Time since it is ready, or is not."),
      age,
      wide(
        "Unschedulable",
        "boolean",
        ".spec.unschedulable",
        "Whether it is given no addresses, and hands over what it has."
      ),
      wide("MACs", "string", ".status.macs", "The hardware addresses of its interfaces."),
      wide(
        "Reason",
        "string",
        '.status.conditions[?(@.type=="Ready")].message',
        "Which extip runs there, or why none is heard of."
      )
    ],
    selectable: []
  }
]
