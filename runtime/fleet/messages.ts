import * as Schema from "effect/Schema"
import ipaddr from "ipaddr.js"
import type { Report } from "../Fleet.ts"
import { token, untoken } from "../nats/names.ts"

/** An unsigned 32-bit integer on the wire; the highest one is left for the placement after it. */
export const highestTerm = 0xffff_fffe
const Term = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: highestTerm }))

/** `assignments`: key `<node>.<claim>`. What a node must hold, or stand by for. */
export const Assignment = Schema.Struct({
  role: Schema.Literals(["holder", "standby"]),
  claim: Schema.String,
  address: Schema.String,
  /** Rises with every placement of the claim. */
  term: Term,
  holder: Schema.optionalKey(Schema.String),
  standby: Schema.optionalKey(Schema.String),
  link: Schema.optionalKey(Schema.String)
})
export type Assignment = typeof Assignment.Type

/** `assignments`: key `<node>._complete`. The slice is whole, given the inventory with this id. */
export const Complete = Schema.Struct({ inventory: Schema.String })
/** `assignments`: key `<node>._draining`. Present while the node hands over when its runtime stops. */

const Link = Schema.Struct({
  name: Schema.String,
  mac: Schema.String,
  subnets: Schema.Array(Schema.String),
  carrier: Schema.Boolean,
  defaultRoutes: Schema.Array(Schema.Literals([4, 6])),
  chosen: Schema.Boolean
})

/** The links of one node. */
export const PeerLinks = Schema.Array(Link)

/** `nodes`: key `<node>`, refreshed every second with a TTL. */
export const Presence = Schema.Struct({
  links: PeerLinks,
  version: Schema.String,
  /** Made anew at each start of the runtime. */
  session: Schema.String,
  /**
   * The id of the inventory that the node sent last. One with another id is not believed: it is an older one, of a
   * JetStream that was restored. Put the key with the new id first, then send the inventory.
   */
  inventory: Schema.optionalKey(Schema.String)
})
export type Presence = typeof Presence.Type

/** `node.<node>._inventory`: what is marked in the node's kernel, sent on every connect. */
export const InventoryMessage = Schema.Struct({
  id: Schema.String,
  held: Schema.Array(
    Schema.Struct({ claim: Schema.String, address: Schema.String, link: Schema.String, term: Term })
  )
})
export type InventoryMessage = typeof InventoryMessage.Type

/** `node.<node>.<claim>.<bound|taken|released|conflict>` */
export const ReportMessage = Schema.Struct({
  address: Schema.String,
  link: Schema.String,
  mac: Schema.String,
  term: Term,
  at: Schema.Finite,
  foreign: Schema.optionalKey(Schema.String),
  reason: Schema.optionalKey(Schema.String)
})

export const whats = ["bound", "taken", "released", "conflict"] as const

/** A node's key in `nodes`, and its token in every other subject. Claim names need no escaping: they are addresses. */
export const nodeToken = token
export const nodeOfToken = untoken

export const presenceSubject = (node: string): string => `$KV.nodes.${token(node)}`
export const assignmentSubject = (node: string, claim: string): string =>
  `$KV.assignments.${token(node)}.${claim}`
/** On the deletion of a node's key: the node that has the claim now. Absent when it is placed nowhere any more. */
export const movedToHeader = "Extip-Moved-To"
/** Every key of one claim, whatever the node: what the expected sequence is asked of. */
export const claimSubjects = (claim: string): string => `$KV.assignments.*.${claim}`
export const completeSubject = (node: string): string => `$KV.assignments.${token(node)}._complete`
export const drainingSubject = (node: string): string => `$KV.assignments.${token(node)}._draining`
export const inventorySubject = (node: string): string => `node.${token(node)}._inventory`
export const reportSubject = (node: string, claim: string, what: Report["what"]): string =>
  `node.${token(node)}.${claim}.${what}`

/** A claim is named by its address: `192-168-0-249`; IPv6 in full, `fd00-0000-…-0001`. */
export const claimKeyOf = (address: string): string => {
  const parsed = ipaddr.parse(address)
  return parsed instanceof ipaddr.IPv6
    ? parsed.parts.map((part) => part.toString(16).padStart(4, "0")).join("-")
    : parsed.toString().replaceAll(".", "-")
}

const macPattern = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** Whether it names an address, and by it its claim. What does not is never put on a link. */
export const isSound = ({ claim, address }: Pick<Assignment, "claim" | "address">): boolean =>
  isNormal(address) && claimKeyOf(address) === claim

/** As the kernel's and the wire's are written here: by any other form what is heard of an address would not be found. */
const isNormal = (address: string): boolean => {
  if (!ipaddr.isValid(address)) return false
  const parsed = ipaddr.parse(address)
  return address === (parsed instanceof ipaddr.IPv6 ? parsed.toRFC5952String() : parsed.toString())
}

/** Of a node's links, those that can be asked: whoever may write a node's key could write anything. */
export const soundLinks = (links: Presence["links"]): Presence["links"] =>
  links
    .filter(({ mac }) => macPattern.test(mac))
    .map((link) => ({
      ...link,
      subnets: link.subnets.filter((subnet) => ipaddr.isValidCIDR(subnet) && isNormal(subnet.split("/")[0]!))
    }))
