import type { PoolEntry } from "./pool-entry.ts"
import type { Addresses, Auto } from "./requests.ts"
import { matchesSelector } from "./selectors.ts"

/** What of a Service decides which pools it may use. */
export interface Applicant {
  readonly namespace: string
  readonly labels: { readonly [name: string]: string }
  readonly namespaceLabels: { readonly [name: string]: string }
}

/** Whether the pool's author lets this Service use it. The namespace may be named or selected by its labels. */
export const mayUse = (pool: PoolEntry, applicant: Applicant): boolean => {
  const { namespaces = [], namespaceSelector, serviceSelector } = pool.object.spec
  const namespaceFits =
    (namespaces.length === 0 && namespaceSelector === undefined) ||
    namespaces.includes(applicant.namespace) ||
    (namespaceSelector !== undefined && matchesSelector(namespaceSelector, applicant.namespaceLabels))
  return (
    namespaceFits && (serviceSelector === undefined || matchesSelector(serviceSelector, applicant.labels))
  )
}

/**
 * Why this pool can give the applicant nothing of what is asked for, whether or not it has free addresses; as the end
 * of a sentence that begins with the pool. `undefined` when it can.
 */
export const whyNotEligible = (
  pool: PoolEntry,
  applicant: Applicant,
  request: Auto | Addresses
): string | undefined => {
  if (request.pool !== undefined && request.pool !== pool.name) {
    return `is not the pool ${request.pool} that the Service asks for`
  }
  if (pool.object.metadata.deletionTimestamp !== undefined) return "is being deleted"
  if (pool.addresses === undefined || pool.faults.length > 0) return "is not valid"
  if (request._tag === "Addresses") {
    const { addresses } = pool
    if (!request.addresses.some((address) => addresses.contains(address))) {
      return `does not contain ${request.addresses.join(" or ")}`
    }
  } else {
    if (!request.families.includes(pool.addresses.family)) {
      return `has ${pool.addresses.family} addresses, the Service wants ${request.families.join(" and ")}`
    }
    if (pool.object.spec.autoAssign === false && request.pool === undefined) {
      return "is for Services that name it or one of its addresses (autoAssign: false)"
    }
  }
  return mayUse(pool, applicant)
    ? undefined
    : "does not admit the Service (namespaces, namespaceSelector, serviceSelector)"
}
