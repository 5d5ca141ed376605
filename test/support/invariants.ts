import type { TestCluster } from "#testkit"
import { addressOfClaim, isEntryOf } from "../../functions/domain/holding.ts"
import { IpClaim, IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import { addressesOf } from "../../functions/domain/pools.ts"
import { allocatedOf, publishedOf, shownOf } from "../../functions/domain/publishing.ts"
import { requestOf, wantsAddress } from "../../functions/domain/requests.ts"
import { defaultSettings } from "../../functions/domain/settings.ts"

/** A cluster, in memory or a copy of a real one. */
export interface Objects {
  readonly cluster: Pick<TestCluster, "all">
}

/**
 * What must hold at any moment, whoever died where: no address is shown by two Services that do not share it, and none
 * is shown without a claim that names the Service.
 */
export const doubled = (world: Objects): ReadonlyArray<string> => {
  const services = world.cluster.all(Service)
  const claims = new Map(world.cluster.all(IpClaim).map((claim) => [addressOfClaim(claim), claim]))
  return services.flatMap((service) =>
    allocatedOf(service).flatMap((address) => {
      const entries = claims.get(address)?.spec.services ?? []
      const who = `${service.metadata.namespace}/${service.metadata.name}`
      return entries.some((entry) => isEntryOf(entry, service))
        ? []
        : [`${who} carries ${address} without a claim`]
    })
  )
}

/** What must hold besides when all is quiet and the sweep has run: empty where it does. */
export const faults = (world: Objects): ReadonlyArray<string> => {
  const found: Array<string> = [...doubled(world)]
  const services = world.cluster.all(Service)
  const claims = world.cluster.all(IpClaim)
  const pools = world.cluster.all(IpClaimPool).map(({ spec }) => addressesOf(spec))
  for (const claim of claims) {
    const address = addressOfClaim(claim)
    if (!pools.some((pool) => pool._tag === "Success" && pool.success.contains(address))) {
      found.push(`${address} is outside of all pools`)
    }
    const entries = claim.spec.services ?? []
    if (entries.length === 0) found.push(`${address} leaked: its claim names nobody`)
    if (
      entries.length > 1 &&
      entries.some(({ origin, share }) => origin === "allocated" && share === undefined)
    ) {
      found.push(`${address} is shared by those who share nothing`)
    }
    for (const entry of entries) {
      const service = services.find((one) => isEntryOf(entry, one))
      if (service === undefined || !allocatedOf(service).includes(address)) {
        found.push(`${address} leaked: ${entry.namespace}/${entry.name} does not carry it`)
      }
    }
  }
  let free = 0
  for (const pool of pools) if (pool._tag === "Success") free += Number(pool.success.capacity)
  for (const service of services) {
    const who = `${service.metadata.namespace}/${service.metadata.name}`
    const carried = allocatedOf(service)
    const request = requestOf(service, defaultSettings)
    const wants = wantsAddress(request)
    if (wants && carried.length > 1) found.push(`${who} has ${carried.length} addresses`)
    if (request._tag === "Auto" && carried.length === 0 && claims.length < free)
      found.push(`${who} waits while something is free`)
    if (request._tag === "Addresses" && carried.some((address) => !request.addresses.includes(address))) {
      found.push(`${who} asks for ${request.addresses} and has ${carried}`)
    }
    if (!wants && carried.length > 0) found.push(`${who} asks for nothing and has ${carried}`)
    if (publishedOf(service).length !== carried.length) found.push(`${who} does not show ${carried}`)
    for (const address of shownOf(service)) {
      if (!carried.includes(address)) found.push(`${who} shows ${address}, which is not its own`)
    }
  }
  return found
}
