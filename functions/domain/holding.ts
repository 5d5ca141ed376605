import { addressOfClaimName, canonicalAddress, claimName, familyOf, hostCidr } from "./addresses.ts"
import { type ClaimedService, claimLimits, type IpClaim, type Service } from "./kinds.ts"
import { allocatedOf, foreignIngressOf, handWrittenOf } from "./publishing.ts"
import { annotations, beyondLimits, poolLabel, type RequestOptions, requestOf, shareOf } from "./requests.ts"

/** `namespace/name` of the Service that holds a share of a claim. */
export const serviceKeyOf = (entry: Pick<ClaimedService, "namespace" | "name">): string =>
  `${entry.namespace}/${entry.name}`

/** The inverse of a Service's key. */
export const refOfServiceKey = (key: string): { readonly namespace: string; readonly name: string } => {
  const slash = key.indexOf("/")
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) }
}

/** The address that a claim holds, in canonical form: its name says it. */
export const addressOfClaim = (claim: IpClaim): string =>
  addressOfClaimName(claim.metadata.name) ?? canonicalAddress(claim.spec.cidr.split("/")[0] ?? "") ?? ""

/**
 * The Service as it is entered into a claim. One that has outgrown what a claim can say shares with nobody, as not all of
 * its ports are to be seen there.
 */
export const entryOf = (
  service: Service,
  origin: ClaimedService["origin"],
  share: string | undefined
): ClaimedService => ({
  namespace: service.metadata.namespace ?? "",
  name: service.metadata.name,
  uid: service.metadata.uid,
  origin,
  ports: (service.spec?.ports ?? []).slice(0, claimLimits.ports).map(({ port, protocol }) => ({
    port,
    protocol: protocol === "UDP" || protocol === "SCTP" ? protocol : "TCP"
  })),
  ...(share === undefined || beyondLimits(service) !== undefined ? {} : { share })
})

/** The part of a claim that whoever creates it writes. */
export const newClaim = (
  address: string,
  pool: string | undefined,
  services: ReadonlyArray<ClaimedService>,
  annotations?: { readonly [name: string]: string }
) => ({
  metadata: {
    name: claimName(address),
    ...(annotations === undefined ? {} : { annotations }),
    // A label's value has 63 characters at most, a pool's name 253.
    ...(pool === undefined || pool.length > 63 ? {} : { labels: { [poolLabel]: pool } })
  },
  spec: { cidr: hostCidr(address), ...(pool === undefined ? {} : { pool }), services }
})

/** Whether this entry of a claim is this very Service: one that was created again under its name is another. */
export const isEntryOf = (entry: ClaimedService, service: Service): boolean =>
  entry.uid === service.metadata.uid &&
  entry.name === service.metadata.name &&
  entry.namespace === service.metadata.namespace

/** Whether the claim, if there is one, holds its address for this very Service. */
export const isNamedBy = (claim: IpClaim | undefined, service: Service): boolean =>
  (claim?.spec.services ?? []).some((entry) => isEntryOf(entry, service))

/** Whether we gave the claim's address to this very Service, or it shares it: its author did not write it by hand. */
export const isGivenTo = (claim: IpClaim, service: Service): boolean =>
  (claim.spec.services ?? []).some((entry) => isEntryOf(entry, service) && entry.origin === "allocated")

/**
 * Whether the Service shows the address that we gave it without the annotation that says so: whoever replaces a whole
 * object takes that with it, and not the status. What was adopted and never bound is another controller's still.
 */
export const shownStill = (service: Service, claim: IpClaim): boolean =>
  (claim.metadata.annotations?.[annotations.adopted] === undefined || claim.status?.boundAt !== undefined) &&
  isGivenTo(claim, service) &&
  foreignIngressOf(service).includes(addressOfClaim(claim))

/** Whether the claim's address is from the pool that is asked for, as far as either names one. */
export const isFromPool = ({ spec: { pool } }: IpClaim, wanted: string | undefined): boolean =>
  wanted === undefined || pool === undefined || pool === wanted

/** Whether two entries of one Service say the same of what it serves and shares. */
export const isSameEntry = (one: ClaimedService, other: ClaimedService): boolean => {
  const portsOf = ({ ports = [] }: ClaimedService) =>
    ports.map(({ port, protocol }) => `${port}/${protocol}`).join()
  return one.origin === other.origin && one.share === other.share && portsOf(one) === portsOf(other)
}

/** What is to stand in the claim for the Service when its entry there is of before its ports or its key were changed. */
export const newerEntryOf = (claim: IpClaim | undefined, service: Service): ClaimedService | undefined => {
  const mine = claim?.spec.services?.find((entry) => isEntryOf(entry, service))
  if (mine === undefined) return undefined
  const entry = entryOf(service, mine.origin, shareOf(service))
  return isSameEntry(mine, entry) ? undefined : entry
}

/**
 * Why the Service does not hold this address any more, as the end of a sentence that begins with the claim; `undefined`
 * while it does, or is about to be given it.
 *
 * A Service whose request has become unreadable keeps what it has: a typing error must not cost an address.
 */
export const whyReleased = (
  claim: IpClaim,
  entry: ClaimedService,
  service: Service | undefined,
  options: RequestOptions
): string | undefined => {
  if (service === undefined) return "its Service is gone"
  const address = addressOfClaim(claim)
  const carried = allocatedOf(service)
  if (entry.uid !== service.metadata.uid && !carried.includes(address)) {
    return "its Service was deleted and created again"
  }
  if (service.metadata.deletionTimestamp !== undefined) return undefined
  if (handWrittenOf(service).addresses.has(address)) return undefined
  const request = requestOf(service, options)
  switch (request._tag) {
    case "None":
      return "its Service no longer asks for an address"
    case "Refused":
      return request.reason === "UnsupportedService" ||
        request.reason === "ForeignLoadBalancerClass" ||
        !carried.includes(address)
        ? "its Service can no longer have an address"
        : undefined
    case "Addresses":
      if (!request.addresses.includes(address))
        return `its Service asks for ${request.addresses.join(" and ")} instead`
      break
    case "Auto":
      // The families of a Service that was given its address by hand before are its author's affair.
      if (!request.families.includes(familyOf(address))) {
        return `its Service asks for ${request.families.join(" and ")} only`
      }
  }
  if (!isFromPool(claim, request.pool)) {
    return `its Service asks for pool ${request.pool} instead`
  }
  // One that asks for an address of each family has them one by one, if it asked for the second one later.
  const instead = carried.filter((other) => familyOf(other) === familyOf(address))
  if (instead.length > 0 && !carried.includes(address))
    return `its Service holds ${instead.join(" and ")} already`
  // Not carried yet: somebody is between the claim and the Service. Written by hand before, and removed: released.
  return !carried.includes(address) && entry.origin === "external"
    ? "its Service no longer lists it in externalIPs"
    : undefined
}
