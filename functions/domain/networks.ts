import { type AddressNumber, type Cidr, familyOf, numberOf } from "./addresses.ts"

/** Who is told when an address becomes unusable for others, by one more owner, or by one less. */
export interface BlockedListener {
  readonly blocked: (address: string) => void
  readonly unblocked: (address: string) => void
}

/** Addresses with owners. Two objects may claim one for a moment: their events are in no particular order. */
export class Owners {
  /** Address → its owners, in order. */
  private readonly owners = new Map<string, ReadonlyArray<string>>()

  of(address: string): string | undefined {
    return this.owners.get(address)?.[0]
  }

  all(address: string): ReadonlyArray<string> {
    return this.owners.get(address) ?? []
  }

  /** Every address that has an owner. */
  addresses(): Iterable<string> {
    return this.owners.keys()
  }

  /** Takes over what the owner has, of what it had; tells of each address that it has got or lost. */
  follow(
    owner: string,
    had: ReadonlySet<string>,
    has: ReadonlySet<string>,
    { blocked, unblocked }: BlockedListener
  ): void {
    for (const address of has.difference(had)) {
      this.add(address, owner)
      blocked(address)
    }
    for (const address of had.difference(has)) {
      this.remove(address, owner)
      unblocked(address)
    }
  }

  private add(address: string, owner: string): void {
    this.owners.set(address, [...(this.owners.get(address) ?? []), owner].sort())
  }

  private remove(address: string, owner: string): void {
    const left = (this.owners.get(address) ?? []).filter((other) => other !== owner)
    if (left.length > 0) this.owners.set(address, left)
    else this.owners.delete(address)
  }
}

const firstOf = (number: AddressNumber, prefix: number): AddressNumber =>
  typeof number === "number"
    ? number - (number % 2 ** (32 - prefix))
    : number - (number % (1n << BigInt(128 - prefix)))

/** Networks with owners. Finding the owner of an address costs one look-up per prefix length in use, not per network. */
export class Networks {
  /** Prefix length → first address of the network → its owners, in order. */
  private readonly byPrefix = {
    IPv4: new Map<number, Map<AddressNumber, Array<string>>>(),
    IPv6: new Map<number, Map<AddressNumber, Array<string>>>()
  }
  /** Text of the network → the network. */
  private readonly present = new Map<string, Cidr>()

  get all(): ReadonlyArray<Cidr> {
    return [...this.present.values()]
  }

  add(cidr: Cidr, owner: string): void {
    const family = this.byPrefix[cidr.family]
    const networks = family.get(cidr.prefix) ?? new Map<AddressNumber, Array<string>>()
    family.set(cidr.prefix, networks)
    networks.set(cidr.first, [...(networks.get(cidr.first) ?? []), owner].sort())
    this.present.set(cidr.text, cidr)
  }

  remove(cidr: Cidr, owner: string): void {
    const networks = this.byPrefix[cidr.family].get(cidr.prefix)
    const owners = networks?.get(cidr.first) ?? []
    const at = owners.indexOf(owner)
    if (networks === undefined || at < 0) return
    const left = owners.toSpliced(at, 1)
    if (left.length > 0) {
      networks.set(cidr.first, left)
      return
    }
    networks.delete(cidr.first)
    if (networks.size === 0) this.byPrefix[cidr.family].delete(cidr.prefix)
    this.present.delete(cidr.text)
  }

  ownerOf(address: string): string | undefined {
    const number = numberOf(address)
    for (const [prefix, networks] of this.byPrefix[familyOf(address)]) {
      const owners = networks.get(firstOf(number, prefix))
      if (owners !== undefined) return owners[0]
    }
    return undefined
  }
}
