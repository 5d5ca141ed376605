import { claimName, hostCidr } from "./addresses.ts"
import type { IpClaim, IpClaimPool, Namespace, Node, Service } from "./kinds.ts"

/** `seconds` after a fixed day: what was created later is younger. */
const timeAt = (seconds: number): string =>
  new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString().replace(".000Z", "Z")

const metadataOf = (name: string, createdAt: number, namespace?: string) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  uid: `uid-${namespace ?? ""}-${name}-${createdAt}`,
  resourceVersion: "1",
  generation: 1,
  creationTimestamp: timeAt(createdAt)
})

export const poolOf = (name: string, spec: IpClaimPool["spec"], createdAt = 0): IpClaimPool => ({
  metadata: metadataOf(name, createdAt),
  spec
})

export interface ServiceParts {
  readonly namespace?: string
  readonly createdAt?: number
  readonly labels?: { readonly [name: string]: string }
  readonly annotations?: { readonly [name: string]: string }
  readonly spec?: NonNullable<Service["spec"]>
  readonly ingress?: NonNullable<NonNullable<NonNullable<Service["status"]>["loadBalancer"]>["ingress"]>
}

/** A Service as the API server has it: by default of type ClusterIP, IPv4, with one port. */
export const serviceOf = (name: string, parts: ServiceParts = {}): Service => ({
  metadata: {
    ...metadataOf(name, parts.createdAt ?? 0, parts.namespace ?? "default"),
    ...(parts.labels === undefined ? {} : { labels: parts.labels }),
    ...(parts.annotations === undefined ? {} : { annotations: parts.annotations })
  },
  spec: {
    type: "ClusterIP",
    ipFamilies: ["IPv4"],
    ipFamilyPolicy: "SingleStack",
    ports: [{ port: 80, protocol: "TCP" }],
    ...parts.spec
  },
  status: { loadBalancer: parts.ingress === undefined ? {} : { ingress: parts.ingress } }
})

export const askingFor = (what: string, name: string, parts: ServiceParts = {}): Service =>
  serviceOf(name, { ...parts, annotations: { "external-ip": what, ...parts.annotations } })

export const claimOf = (
  address: string,
  service: Service,
  more: Partial<IpClaim["spec"]> & { readonly share?: string } = {}
): IpClaim => {
  const { share, ...spec } = more
  const { namespace = "", name, uid } = service.metadata
  const entry = {
    namespace,
    name,
    uid,
    origin: "allocated" as const,
    ...(share === undefined ? {} : { share })
  }
  return {
    metadata: metadataOf(claimName(address), 0),
    spec: { cidr: hostCidr(address), services: [entry], ...spec }
  }
}

export const namespaceOf = (name: string, labels: { readonly [name: string]: string } = {}): Namespace => ({
  metadata: { ...metadataOf(name, 0), labels }
})

export const nodeOf = (
  name: string,
  addresses: ReadonlyArray<string>,
  podCIDRs: ReadonlyArray<string> = []
): Node => ({
  metadata: metadataOf(name, 0),
  spec: { podCIDRs },
  status: { addresses: addresses.map((address) => ({ type: "InternalIP", address })) }
})
