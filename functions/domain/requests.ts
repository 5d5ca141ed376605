import { canonicalAddress, explainAddress, type Family, familyOf } from "./addresses.ts"
import { claimLimits, type Service } from "./kinds.ts"

/** Annotations on a Service. The first three are its author's; `allocated` is ours: what we gave, as a list. */
export const annotations = {
  ask: "external-ip",
  pool: "external-ip-pool",
  share: "external-ip-share",
  allocated: "ipcontroller.ext/allocated",
  /** On a claim: the state of its Service when an allocator found it and took it up again. */
  takenUp: "ipcontroller.ext/taken-up",
  /** On a claim: another controller had put its address on the Service before. */
  adopted: "ipcontroller.ext/adopted"
} as const

/** The `spec.loadBalancerClass` of Services of type LoadBalancer that are meant for us. */
export const loadBalancerClass = "ipcontroller.ext/external-ip"

/** The label on a claim that names its pool, as the original k8s-externalipcontroller has it. */
export const poolLabel = "ip-pool-name"

export interface RequestOptions {
  /** Whether Services of type LoadBalancer without a class are ours (`default`), or only those of our class (`class`). */
  readonly loadBalancers: "default" | "class"
}

interface Where {
  /** Only this pool will do (annotation `external-ip-pool`). */
  readonly pool?: string
  /** Services of one namespace with this key may share an address (annotation `external-ip-share`). */
  readonly share?: string
}

export interface Auto extends Where {
  readonly _tag: "Auto"
  /** One address of each of these families. */
  readonly families: readonly [Family, ...ReadonlyArray<Family>]
  /** Nothing will do but all of them (`ipFamilyPolicy: RequireDualStack`); else the first is enough. */
  readonly needsAll?: true
}

export interface Addresses extends Where {
  readonly _tag: "Addresses"
  /** These addresses, in canonical form, at most one of a family. */
  readonly addresses: readonly [string, ...ReadonlyArray<string>]
}

export interface Refused {
  readonly _tag: "Refused"
  /** CamelCase, for an Event. */
  readonly reason:
    | "InvalidAddress"
    | "UnsupportedService"
    | "ForeignLoadBalancerClass"
    | "FamilyMismatch"
    | "TooManyPorts"
    | "InvalidSharingKey"
  /** What is wrong, and what to do. */
  readonly message: string
}

/** What a Service asks for: nothing, any address, certain addresses, or something that nobody can be given. */
export type Request = { readonly _tag: "None" } | Auto | Addresses | Refused

const none: Request = { _tag: "None" }
const refused = (reason: Refused["reason"], message: string): Refused => ({
  _tag: "Refused",
  reason,
  message
})

export const annotationOf = (service: Service, name: string): string | undefined =>
  service.metadata.annotations?.[name]

/** The Service's sharing key: Services of one namespace that have the same may share an address. */
export const shareOf = (service: Service): string | undefined =>
  annotationOf(service, annotations.share)?.trim() || undefined

const whereOf = (service: Service): Where => {
  const pool = annotationOf(service, annotations.pool)?.trim()
  const share = shareOf(service)
  return { ...(pool ? { pool } : {}), ...(share ? { share } : {}) }
}

/** The Service's IP families, the first one first. A Service that has none yet is IPv4. */
const familiesOf = (service: Service): readonly [Family, ...ReadonlyArray<Family>] => {
  const [first, ...others] = (service.spec?.ipFamilies ?? []).filter(
    (family) => family === "IPv4" || family === "IPv6"
  )
  return first === undefined ? ["IPv4"] : [first, ...others]
}

/** Why this Service can have no external address at all, whatever it asks for. */
const unsupported = (service: Service): Refused | undefined => {
  const { type, clusterIP, loadBalancerClass: theirs } = service.spec ?? {}
  if (type === "ExternalName") {
    return refused(
      "UnsupportedService",
      `a Service of type ExternalName is a DNS name only, so that no traffic comes to an external address of it; change its type to ClusterIP, or remove the annotation ${annotations.ask}`
    )
  }
  if (clusterIP === "None") {
    return refused(
      "UnsupportedService",
      `a headless Service (clusterIP: None) is not proxied, so that no traffic comes to an external address of it; create it without clusterIP: None, or remove the annotation ${annotations.ask}`
    )
  }
  return theirs === undefined || theirs === loadBalancerClass
    ? undefined
    : refused(
        "ForeignLoadBalancerClass",
        `loadBalancerClass ${theirs} belongs to another controller; create the Service with loadBalancerClass ${loadBalancerClass}, or remove the annotation ${annotations.ask}`
      )
}

/** Why no claim can be made that says of this Service what it must. */
export const beyondLimits = (service: Service): Refused | undefined => {
  const ports = service.spec?.ports?.length ?? 0
  if (ports > claimLimits.ports) {
    return refused(
      "TooManyPorts",
      `the Service has ${ports} ports, and an external address can be had for ${claimLimits.ports} at most; spread them over several Services`
    )
  }
  const characters = shareOf(service)?.length ?? 0
  return characters <= claimLimits.share
    ? undefined
    : refused(
        "InvalidSharingKey",
        `annotation ${annotations.share}: the key has ${characters} characters; write one of ${claimLimits.share} at most`
      )
}

/** The request for the addresses of a comma separated list, which stands in `where` (`annotation external-ip`). */
const requestForList = (service: Service, list: string, where: string): Request => {
  const right = 'write "auto", one address, or one of each family, such as "192.168.0.250,fd00::10"'
  const found = new Map<Family, string>()
  for (const text of list.split(",").map((entry) => entry.trim())) {
    if (text === "") return refused("InvalidAddress", `${where}: an entry is empty; ${right}`)
    const address = canonicalAddress(text)
    if (address === undefined) return refused("InvalidAddress", `${where}: ${explainAddress(text)}`)
    const family = familyOf(address)
    const other = found.get(family)
    if (other !== undefined) {
      return refused("InvalidAddress", `${where}: ${other} and ${address} are both ${family}; ${right}`)
    }
    const families = service.spec?.ipFamilies ?? []
    if (families.length > 0 && !families.includes(family)) {
      return refused(
        "FamilyMismatch",
        `${where}: ${address} is ${family}, but the Service serves ${families.join(" and ")} only (spec.ipFamilies); ask for an address of that family, or add ${family} with ipFamilyPolicy PreferDualStack`
      )
    }
    found.set(family, address)
  }
  const [first, ...others] = found.values()
  return first === undefined
    ? none
    : { _tag: "Addresses", addresses: [first, ...others], ...whereOf(service) }
}

const isOurLoadBalancer = (service: Service, options: RequestOptions): boolean =>
  service.spec?.type === "LoadBalancer" &&
  (service.spec.loadBalancerClass === loadBalancerClass ||
    (service.spec.loadBalancerClass === undefined && options.loadBalancers === "default"))

/**
 * What the Service asks for.
 *
 * The annotation `external-ip` says it: `auto` is one address of the Service's first family, a list is those
 * addresses. Without it, a Service of type LoadBalancer that is ours asks for one of each of its families, or for its
 * `spec.loadBalancerIP`. A Service that is being deleted asks for nothing.
 */
export const requestOf = (service: Service, options: RequestOptions): Request => {
  if (service.metadata.deletionTimestamp !== undefined) return none
  const asked = annotationOf(service, annotations.ask)?.trim()
  if (asked !== undefined) {
    const refusal = unsupported(service) ?? beyondLimits(service)
    if (refusal !== undefined) return refusal
    return asked === "auto"
      ? { _tag: "Auto", families: [familiesOf(service)[0]], ...whereOf(service) }
      : requestForList(service, asked, `annotation ${annotations.ask}`)
  }
  if (!isOurLoadBalancer(service, options)) return none
  const refusal = beyondLimits(service)
  if (refusal !== undefined) return refusal
  const wish = service.spec?.loadBalancerIP
  if (wish) return requestForList(service, wish, "spec.loadBalancerIP")
  const families = familiesOf(service)
  const policy = service.spec?.ipFamilyPolicy
  const dualStack = policy === "PreferDualStack" || policy === "RequireDualStack"
  return {
    _tag: "Auto",
    families: dualStack ? families : [families[0]],
    ...(policy === "RequireDualStack" ? { needsAll: true } : {}),
    ...whereOf(service)
  }
}

/** Whether the Service asks for an address: `auto` or certain ones. */
export const wantsAddress = (request: Request): request is Auto | Addresses =>
  request._tag === "Auto" || request._tag === "Addresses"

/**
 * What is left of the request when these addresses are carried; `undefined` when nothing is, or when something is
 * carried that is not asked for: then that is to be freed first.
 */
export const stillAskedFor = (
  request: Auto | Addresses,
  carried: ReadonlyArray<string>
): Auto | Addresses | undefined => {
  if (request._tag === "Addresses") {
    if (!carried.every((address) => request.addresses.includes(address))) return undefined
    const [first, ...others] = request.addresses.filter((address) => !carried.includes(address))
    return first === undefined ? undefined : { ...request, addresses: [first, ...others] }
  }
  const had = carried.map(familyOf)
  if (!had.every((family) => request.families.includes(family))) return undefined
  const [first, ...others] = request.families.filter((family) => !had.includes(family))
  return first === undefined ? undefined : { ...request, families: [first, ...others] }
}
