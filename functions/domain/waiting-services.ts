import { type Applicant, whyNotEligible } from "./eligibility.ts"
import type { Namespace, Service } from "./kinds.ts"
import type { LivePool } from "./pool-entry.ts"
import type { PoolIndex } from "./pool-index.ts"
import { allocatedOf } from "./publishing.ts"
import { type RequestOptions, requestOf, wantsAddress } from "./requests.ts"
import { byAge, type Waiting } from "./waiting.ts"

type Labels = { readonly [name: string]: string }

/** A waiting Service, and the key by which it would share. */
export interface SharingRef {
  readonly namespace: string
  readonly name: string
  readonly share: string
}

interface Entry {
  readonly waiting: Waiting
  /** The pools in whose queues it stands. */
  readonly queues: Set<LivePool>
}

const waitingOf = (key: string, service: Service, options: RequestOptions): Waiting | undefined => {
  if (allocatedOf(service).length > 0) return undefined
  const request = requestOf(service, options)
  if (!wantsAddress(request)) return undefined
  const { namespace = "", name, creationTimestamp, labels = {} } = service.metadata
  return { key, namespace, name, since: creationTimestamp, labels, request }
}

/** The Services that ask for an address and have none, in the queues of all pools that may serve them. */
export class WaitingServices {
  private readonly pools: PoolIndex
  private readonly options: RequestOptions
  /** `namespace/name` → what waits. */
  private readonly entries = new Map<string, Entry>()
  /** Namespace → its labels. */
  private readonly namespaces = new Map<string, Labels>()

  constructor(pools: PoolIndex, options: RequestOptions) {
    this.pools = pools
    this.options = options
  }

  get size(): number {
    return this.entries.size
  }

  /** Those that would share by one of these keys (`namespace/key`). */
  withShare(keys: ReadonlySet<string>): ReadonlyArray<SharingRef> {
    return Array.from(this.entries.values(), ({ waiting }) => waiting)
      .filter(({ namespace, request: { share } }) => share !== undefined && keys.has(`${namespace}/${share}`))
      .sort(byAge)
      .map(({ namespace, name, request }) => ({ namespace, name, share: request.share! }))
  }

  /** The API server sets `kubernetes.io/metadata.name` on every namespace; it is known before the namespace is. */
  applicant(namespace: string, labels: Labels): Applicant {
    const namespaceLabels = this.namespaces.get(namespace) ?? { "kubernetes.io/metadata.name": namespace }
    return { namespace, labels, namespaceLabels }
  }

  applyService(key: string, after: Service | undefined): void {
    const before = this.entries.get(key)
    const waiting = after === undefined ? undefined : waitingOf(key, after, this.options)
    if (before === undefined && waiting === undefined) return
    if (before && waiting && JSON.stringify(before.waiting) === JSON.stringify(waiting)) return
    if (before !== undefined) {
      for (const pool of before.queues) pool.waiting.remove(before.waiting)
      this.entries.delete(key)
    }
    if (waiting !== undefined) this.enqueue(waiting)
  }

  applyNamespace(name: string, after: Namespace | undefined): void {
    const labels = after?.metadata.labels
    if (JSON.stringify(labels) === JSON.stringify(this.namespaces.get(name))) return
    if (labels === undefined) this.namespaces.delete(name)
    else this.namespaces.set(name, labels)
    if (!this.pools.inOrder().some((pool) => pool.object.spec.namespaceSelector !== undefined)) return
    for (const { waiting, queues } of this.entries.values()) {
      if (waiting.namespace !== name) continue
      for (const pool of queues) pool.waiting.remove(waiting)
      this.enqueue(waiting)
    }
  }

  /** The pool admits others than before: its queue is made anew. */
  requeue(pool: LivePool): void {
    pool.waiting.clear()
    for (const { waiting, queues } of this.entries.values()) {
      queues.delete(pool)
      if (this.fits(pool, waiting)) {
        pool.waiting.add(waiting)
        queues.add(pool)
      }
    }
  }

  /** The pool is gone. */
  forget(pool: LivePool): void {
    for (const { queues } of this.entries.values()) queues.delete(pool)
  }

  private enqueue(waiting: Waiting): void {
    const queues = new Set(this.pools.inOrder().filter((pool) => this.fits(pool, waiting)))
    for (const pool of queues) pool.waiting.add(waiting)
    this.entries.set(waiting.key, { waiting, queues })
  }

  private fits(pool: LivePool, { namespace, labels, request }: Waiting): boolean {
    return whyNotEligible(pool, this.applicant(namespace, labels), request) === undefined
  }
}
