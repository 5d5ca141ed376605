import * as Iterable from "effect/Iterable"
import type { FleetWakes, Index, Kind, Ref, View, Wakes } from "#runtime"
import { addressOfClaim } from "../domain/holding.ts"
import {
  type EndpointSlice,
  IpClaim,
  type IpClaimPool,
  type IpNode,
  type Node,
  Service
} from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { serviceKeyOfSlice } from "../domain/local-endpoints.ts"
import { nodeFactsIndex } from "../domain/node-facts-index.ts"

const refTo = (name: string): Ref => ({ namespace: "", name })
const refsTo = (claims: Iterable<IpClaim>): ReadonlyArray<Ref> =>
  Array.from(claims, ({ metadata }) => refTo(metadata.name))

/** Names no claim: wakes the function for a node that has nothing, and is to hear that this is right. */
const nobody = refTo("_")

/** A node may or may not have addresses from now on: any claim may be concerned. */
export const claimsOnNodes = <A extends Node | IpNode>(kind: Kind<A>): Wakes<A, IpClaim> => ({
  kind: IpClaim,
  keys: ({ ref }, view) =>
    view.index(nodeFactsIndex).isNews(kind, ref.name) ? refsTo(view.list(IpClaim)) : []
})

/** The claims that name the pool, or one that is there no more and whose addresses it has by now. */
export const claimsOfPool = (ledgerOf: Index<Ledger>): Wakes<IpClaimPool, IpClaim> => ({
  kind: IpClaim,
  keys: ({ ref }, view) => {
    const ledger = view.index(ledgerOf)
    const isOf = (claim: IpClaim): boolean => {
      const { pool } = claim.spec
      if (pool === undefined || pool === ref.name) return pool === ref.name
      return ledger.pool(pool) === undefined && ledger.poolOf(addressOfClaim(claim))?.name === ref.name
    }
    return refsTo(Iterable.filter(view.list(IpClaim), isOf))
  }
})

export const claimsOfService = (ledgerOf: Index<Ledger>): Wakes<Service, IpClaim> => ({
  kind: IpClaim,
  keys: ({ ref }, view) => refsTo(view.index(ledgerOf).claimsOf(`${ref.namespace}/${ref.name}`))
})

/** A slice that is gone no longer says whose it was; its name begins with the Service's. */
const servicesOfSlice = (ref: Ref, slice: EndpointSlice | undefined): ReadonlyArray<string> => {
  const named = slice === undefined ? undefined : serviceKeyOfSlice(slice)
  if (named !== undefined) return [named]
  const words = ref.name.split("-")
  return words.slice(1).map((_, index) => `${ref.namespace}/${words.slice(0, index + 1).join("-")}`)
}

/** The claims whose address must be where the endpoints are. */
export const claimsOfEndpoints = (ledgerOf: Index<Ledger>): Wakes<EndpointSlice, IpClaim> => ({
  kind: IpClaim,
  keys: ({ ref, now }, view) =>
    servicesOfSlice(ref, now).flatMap((key) => {
      const [namespace = "", name = ""] = key.split("/")
      const isLocal = view.find(Service, { namespace, name })?.spec?.externalTrafficPolicy === "Local"
      return isLocal ? refsTo(view.index(ledgerOf).claimsOf(key)) : []
    })
})

/**
 * What happened to a node concerns what it has, what it stands by for, and what lacks a node or a standby. Only claims
 * that are there: one that is not would be taken off the nodes, and this is no word of its deletion.
 */
export const claimsOfFleet: FleetWakes<IpClaim> = {
  kind: IpClaim,
  keys: ({ what, node, claim, report }, view, fleet) => {
    if (report !== undefined && claim !== undefined) {
      const placement = fleet.placements.get(claim)
      const asPlaced = report.what === "bound" && placement?.holder === node && placement.term <= report.term
      return asPlaced ? [] : present([claim], view)
    }
    const names = new Set([...fleet.heldBy(node), ...fleet.standingBy(node)])
    for (const name of fleet.inventories.get(node)?.held.keys() ?? []) names.add(name)
    // One that is given up has nothing, and stands by for nothing, though it may be all that there was to choose from.
    const lacks = (one: string | undefined): boolean =>
      one === undefined || fleet.nodes.get(one)?.state === "abandoned"
    for (const { metadata } of view.list(IpClaim)) {
      const placement = fleet.placements.get(metadata.name)
      if (lacks(placement?.holder) || lacks(placement?.standby)) names.add(metadata.name)
    }
    const refs = present(names, view)
    return refs.length === 0 && what === "inventory" ? [nobody] : refs
  }
}

const present = (names: Iterable<string>, view: View): ReadonlyArray<Ref> =>
  Array.from(names, refTo).filter((ref) => view.find(IpClaim, ref) !== undefined)
