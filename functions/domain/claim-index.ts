import { addressOfClaimName, canonicalAddress, claimName } from "./addresses.ts"
import type { IpClaim } from "./kinds.ts"

interface Entry {
  readonly claim: IpClaim
  readonly address: string
}

/** What a claim's change did to an address. */
export interface ClaimChange {
  readonly address: string
  readonly name: string
  readonly now: "held" | "given back"
}

/** The name says the address; claims from before that rule have it in their cidr. */
const addressOfClaim = (name: string, claim: IpClaim): string | undefined =>
  addressOfClaimName(name) ?? canonicalAddress(claim.spec.cidr.split("/")[0] ?? "")

const none: ReadonlySet<string> = new Set()

/** All claims, found by address and by the Services that hold them. */
export class ClaimIndex {
  /** Claim name → the claim and its address. */
  private readonly entries = new Map<string, Entry>()
  /** `namespace/name` of a Service → names of the claims that it holds. */
  private readonly byService = new Map<string, Set<string>>()
  /** `namespace/key` of a sharing key → names of the claims with a Service that has it. */
  private readonly byShare = new Map<string, Set<string>>()

  get size(): number {
    return this.entries.size
  }

  byAddress(address: string): IpClaim | undefined {
    return this.entries.get(claimName(address))?.claim
  }

  ofService(key: string): ReadonlyArray<IpClaim> {
    return this.named(this.byService.get(key))
  }

  /** The addresses that claims hold for the Service because they were given to it, not those that its author wrote by hand. */
  givenTo(key: string): ReadonlyArray<string> {
    return this.ofService(key).flatMap(({ metadata: { name: claim }, spec: { services = [] } }) =>
      services.some(({ namespace, name, origin }) => origin === "allocated" && `${namespace}/${name}` === key)
        ? [this.entries.get(claim)!.address]
        : []
    )
  }

  /** The claims held by Services of the namespace with this sharing key. */
  ofShare(namespace: string, share: string): ReadonlyArray<IpClaim> {
    return this.named(this.byShare.get(`${namespace}/${share}`))
  }

  *addresses(): Iterable<readonly [address: string, claim: string]> {
    for (const [name, { address }] of this.entries) yield [address, name]
  }

  /** Takes over a claim's new state. Answers with what became of its address, if anything did. */
  apply(name: string, after: IpClaim | undefined): ClaimChange | undefined {
    const before = this.entries.get(name)
    const address = before?.address ?? (after === undefined ? undefined : addressOfClaim(name, after))
    if (address === undefined) return undefined
    relink(this.byService, name, servicesOf(before?.claim), servicesOf(after))
    relink(this.byShare, name, sharesOf(before?.claim), sharesOf(after))
    if (after === undefined) {
      this.entries.delete(name)
      return { address, name, now: "given back" }
    }
    this.entries.set(name, { claim: after, address })
    return before === undefined ? { address, name, now: "held" } : undefined
  }

  private named(names: ReadonlySet<string> = none): ReadonlyArray<IpClaim> {
    return [...names].map((name) => this.entries.get(name)!.claim)
  }
}

const servicesOf = (claim: IpClaim | undefined): ReadonlySet<string> =>
  claim?.spec.services === undefined
    ? none
    : new Set(claim.spec.services.map(({ namespace, name }) => `${namespace}/${name}`))

const sharesOf = (claim: IpClaim | undefined): ReadonlySet<string> => {
  const sharing = (claim?.spec.services ?? []).filter(({ share }) => share !== undefined)
  return sharing.length === 0 ? none : new Set(sharing.map(({ namespace, share }) => `${namespace}/${share}`))
}

const relink = (
  links: Map<string, Set<string>>,
  claim: string,
  had: ReadonlySet<string>,
  has: ReadonlySet<string>
): void => {
  for (const key of had) {
    if (has.has(key)) continue
    const names = links.get(key)
    names?.delete(claim)
    if (names?.size === 0) links.delete(key)
  }
  for (const key of has) links.set(key, (links.get(key) ?? new Set()).add(claim))
}
