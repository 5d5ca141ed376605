import { canonicalAddress } from "./addresses.ts"
import type { Service, ServiceIngress } from "./kinds.ts"
import { annotationOf, annotations } from "./requests.ts"

/**
 * So many entries of the annotation `allocated` are read. We write two at most, but whoever may write a Service may write
 * 256 KiB of them, each of which would be looked up. The rest is gone when the annotation is next written.
 */
export const allocatedLimit = 16

/** What we gave the Service, in canonical form: the lock on the Service. Entries that are no addresses are ignored. */
export const allocatedOf = (service: Service): ReadonlyArray<string> => {
  const list = annotationOf(service, annotations.allocated)
  if (list === undefined) return []
  const addresses = list.split(",", allocatedLimit).map((entry) => canonicalAddress(entry.trim()))
  return [...new Set(addresses.filter((address) => address !== undefined))]
}

/** Where the Service's addresses are shown: LoadBalancers in `status.loadBalancer`, all others in `spec.externalIPs`. */
export const publishWhere = (service: Service): "externalIPs" | "loadBalancer" =>
  service.spec?.type === "LoadBalancer" ? "loadBalancer" : "externalIPs"

/**
 * So many of the addresses that a Service lists by hand are claimed for it: what is decided on a Service costs as much as it
 * has claims, and its author may list tens of thousands.
 */
export const byHandLimit = 64

/** What a Service's author wrote into `spec.externalIPs`. */
export interface HandWritten {
  /** In canonical form. */
  readonly addresses: ReadonlySet<string>
  /** As written. */
  readonly unparsable: ReadonlyArray<string>
}

const nothing: HandWritten = { addresses: new Set(), unparsable: [] }

/** Of the Services with long lists: each of their claims is held against the list. */
const longLists = new WeakMap<Service, HandWritten>()

/** The `spec.externalIPs` that the Service's author wrote, and not we. */
export const handWrittenOf = (service: Service): HandWritten => {
  const listed = service.spec?.externalIPs?.length ?? 0
  if (listed === 0) return nothing
  if (listed <= allocatedLimit) return tellApart(service)
  const known = longLists.get(service) ?? tellApart(service)
  longLists.set(service, known)
  return known
}

const tellApart = (service: Service): HandWritten => {
  const ours = allocatedOf(service)
  const addresses = new Set<string>()
  const unparsable: Array<string> = []
  for (const text of service.spec?.externalIPs ?? []) {
    const address = canonicalAddress(text)
    if (address === undefined) unparsable.push(text)
    else if (!ours.includes(address)) addresses.add(address)
  }
  return { addresses, unparsable }
}

const ingressOf = (service: Service): ReadonlyArray<ServiceIngress> =>
  service.status?.loadBalancer?.ingress ?? []

const addressOfIngress = (entry: ServiceIngress): string | undefined =>
  entry.ip === undefined ? undefined : canonicalAddress(entry.ip)

/** Every address that the Service shows, whoever put it there, in canonical form: what can be adopted. */
export const shownOf = (service: Service): ReadonlyArray<string> => {
  const shown = [
    ...(service.spec?.externalIPs ?? []).map(canonicalAddress),
    ...ingressOf(service).map(addressOfIngress)
  ]
  return [...new Set(shown.filter((address) => address !== undefined))]
}

/** The addresses in the Service's ingress that are not ours, in canonical form: another controller gave them. */
export const foreignIngressOf = (service: Service): ReadonlyArray<string> => {
  const present = ingressOf(service)
  if (present.length === 0) return []
  const ours = allocatedOf(service)
  return present
    .map(addressOfIngress)
    .filter((address) => address !== undefined)
    .filter((address) => !ours.includes(address))
}

/** The addresses that we gave to the Service and that it shows where it should. */
export const publishedOf = (service: Service): ReadonlyArray<string> => {
  const there =
    publishWhere(service) === "loadBalancer"
      ? ingressOf(service).map(addressOfIngress)
      : (service.spec?.externalIPs ?? []).map(canonicalAddress)
  return allocatedOf(service).filter((address) => there.includes(address))
}

/** A JSON merge patch of a Service: `null` removes. */
export interface ServicePatch {
  readonly metadata?: { readonly annotations: { readonly [name: string]: string | null } }
  readonly spec?: { readonly externalIPs: ReadonlyArray<string> | null }
}

const annotated = (service: Service, allocated: string | null): Pick<ServicePatch, "metadata"> =>
  (annotationOf(service, annotations.allocated) ?? null) === allocated
    ? {}
    : { metadata: { annotations: { [annotations.allocated]: allocated } } }

/** `spec.externalIPs` without ours but for `keep`, and with `keep`. Entries that are not ours stay as they are written. */
const externalIPsWith = (service: Service, keep: ReadonlyArray<string>): Pick<ServicePatch, "spec"> => {
  const present = service.spec?.externalIPs ?? []
  const gone = allocatedOf(service).filter((address) => !keep.includes(address))
  const left = present.filter((text) => !gone.includes(canonicalAddress(text) ?? text))
  const shown = left.map(canonicalAddress)
  const wanted = [...left, ...keep.filter((address) => !shown.includes(address))]
  if (wanted.length === present.length && wanted.every((text, index) => text === present[index])) return {}
  return { spec: { externalIPs: wanted.length === 0 ? null : wanted } }
}

const unlessEmpty = (patch: ServicePatch): ServicePatch | undefined =>
  patch.metadata === undefined && patch.spec === undefined ? undefined : patch

/**
 * The patch that makes these addresses (canonical) the Service's: the annotation and, where that is the place,
 * `spec.externalIPs`. What we gave before and is not among them is taken back. `undefined` when nothing is to be
 * written.
 *
 * A Service that has become a LoadBalancer keeps ours in `externalIPs` until its ingress shows them (`ingressPatch`):
 * the address is never unpublished in between.
 */
export const publishPatch = (
  service: Service,
  addresses: ReadonlyArray<string>
): ServicePatch | undefined => {
  const ingress = ingressOf(service).map(addressOfIngress)
  const moved = publishWhere(service) === "loadBalancer"
  const keep = moved
    ? addresses.filter((address) => shownInExternalIPs(service, address) && !ingress.includes(address))
    : addresses
  return unlessEmpty({
    ...annotated(service, addresses.length === 0 ? null : addresses.join(",")),
    ...externalIPsWith(service, keep)
  })
}

const shownInExternalIPs = (service: Service, address: string): boolean =>
  (service.spec?.externalIPs ?? []).some((text) => canonicalAddress(text) === address)

/**
 * The merge patch of the Service's `status` that shows these addresses of ours in `loadBalancer.ingress`, and no
 * others of ours; with none it withdraws. Another controller's entries stay. `undefined` when nothing is to be
 * written.
 */
export const ingressPatch = (
  service: Service,
  addresses: ReadonlyArray<string>,
  ours: ReadonlyArray<string> = allocatedOf(service)
): { readonly loadBalancer: { readonly ingress: ReadonlyArray<ServiceIngress> | null } } | undefined => {
  const present = ingressOf(service)
  const gone = ours.filter((address) => !addresses.includes(address))
  const left = present.filter((entry) => !gone.includes(addressOfIngress(entry) ?? ""))
  const shown = left.map(addressOfIngress)
  const missing = addresses.filter((address) => !shown.includes(address))
  if (missing.length === 0 && left.length === present.length) return undefined
  const ingress = [...left, ...missing.map((ip) => ({ ip, ipMode: "VIP" }))]
  return { loadBalancer: { ingress: ingress.length === 0 ? null : ingress } }
}

/** Whether the Service shows these addresses of ours, and no others of ours, where it should: there is nothing to be written. */
export const isPublished = (service: Service, addresses: ReadonlyArray<string>): boolean =>
  publishPatch(service, addresses) === undefined &&
  (publishWhere(service) === "externalIPs" || ingressPatch(service, addresses) === undefined)

/**
 * The patch that takes back what we gave: the annotation, and our entries in `spec.externalIPs`, nobody else's. For a
 * LoadBalancer, write `ingressPatch(service, [])` first: it is the annotation that says which entries are ours.
 * `undefined` when there is nothing of ours.
 */
export const withdrawPatch = (service: Service): ServicePatch | undefined =>
  unlessEmpty({ ...annotated(service, null), ...externalIPsWith(service, []) })
