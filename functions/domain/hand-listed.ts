import { type Cidr, cidrContains } from "./addresses.ts"
import { type Applicant, mayUse } from "./eligibility.ts"
import type { Service } from "./kinds.ts"
import { type BlockedListener, Owners } from "./networks.ts"
import type { PoolIndex } from "./pool-index.ts"
import { allocatedOf, byHandLimit, handWrittenOf, shownOf } from "./publishing.ts"
import { type RequestOptions, requestOf, wantsAddress } from "./requests.ts"

interface Listing {
  readonly namespace: string
  readonly labels: Applicant["labels"]
  readonly addresses: ReadonlyArray<string>
}

const listingOf = (service: Service | undefined, options: RequestOptions): Listing | undefined => {
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return undefined
  // What it shows, from another controller or a backup, it is to be given, and nobody else before it.
  const isToAdopt = allocatedOf(service).length === 0 && wantsAddress(requestOf(service, options))
  const addresses = isToAdopt ? shownOf(service) : [...handWrittenOf(service).addresses]
  const { namespace = "", labels = {} } = service.metadata
  return addresses.length === 0 ? undefined : { namespace, labels, addresses }
}

/**
 * The addresses that Services list by hand, or show while they ask for one, and may have: out of a pool that gives and
 * admits them, or out of --external-cidrs. They are theirs, whether they have been claimed yet or somebody has deleted the
 * claim. What a Service lists and may not have keeps nobody from it.
 */
export class HandListed {
  private readonly pools: PoolIndex
  private readonly applicant: (namespace: string, labels: Applicant["labels"]) => Applicant
  private readonly externalCidrs: ReadonlyArray<Cidr>
  private readonly listener: BlockedListener
  private readonly options: RequestOptions
  /** `namespace/name` → what the Service lists, whether it may have it or not. */
  private readonly listings = new Map<string, Listing>()
  private readonly listers = new Owners()
  /** `namespace/name` → what of it the Service may have. */
  private readonly allowed = new Map<string, ReadonlySet<string>>()

  constructor(
    pools: PoolIndex,
    applicant: (namespace: string, labels: Applicant["labels"]) => Applicant,
    externalCidrs: ReadonlyArray<Cidr>,
    listener: BlockedListener,
    options: RequestOptions
  ) {
    this.options = options
    this.pools = pools
    this.applicant = applicant
    this.externalCidrs = externalCidrs
    this.listener = listener
  }

  /** The Services (`namespace/name`) that list the address and may have it. */
  of(address: string): ReadonlyArray<string> {
    return this.listers.all(address)
  }

  /** Every address that some Service lists and may have. */
  addresses(): Iterable<string> {
    return this.listers.addresses()
  }

  applyService(key: string, after: Service | undefined): void {
    const listing = listingOf(after, this.options)
    if (listing === undefined && !this.listings.has(key)) return
    if (listing === undefined) this.listings.delete(key)
    else this.listings.set(key, listing)
    this.judge(key, listing)
  }

  /** Pools, or the labels of this namespace, are others than before: so is who may have what. */
  judgeAgain(namespace?: string): void {
    for (const [key, listing] of this.listings) {
      if (namespace === undefined || listing.namespace === namespace) this.judge(key, listing)
    }
  }

  private judge(key: string, listing: Listing | undefined): void {
    const had = this.allowed.get(key) ?? new Set()
    const has = new Set<string>()
    for (const address of listing?.addresses ?? []) {
      // Of more than are claimed for it the others are not kept from anybody.
      if (has.size >= byHandLimit) break
      if (this.mayHave(address, listing!)) has.add(address)
    }
    if (has.size === 0) this.allowed.delete(key)
    else this.allowed.set(key, has)
    this.listers.follow(key, had, has, this.listener)
  }

  private mayHave(address: string, { namespace, labels }: Listing): boolean {
    if (this.externalCidrs.some((cidr) => cidrContains(cidr, address))) return true
    const applicant = this.applicant(namespace, labels)
    return this.pools.around(address).some((pool) => pool.gives && mayUse(pool, applicant))
  }
}
