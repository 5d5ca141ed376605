/** Who is told when an address is taken for the first time, and when nobody has it any more. */
export interface TakenListener {
  readonly taken: (address: string) => void
  readonly untaken: (address: string) => void
  /** Neither taken nor reserved any more: it can be given out. */
  readonly free: (address: string) => void
}

/** Which addresses (canonical) are taken, by how many, and which are reserved. */
export class TakenAddresses {
  /** Address → how many claims, nodes, clusterIPs and Services that carry or list it it is taken by. */
  readonly counts = new Map<string, number>()
  /** Address → who it is reserved for. */
  private readonly reservedFor = new Map<string, string>()
  private readonly listener: TakenListener

  constructor(listener: TakenListener) {
    this.listener = listener
  }

  /** Taken by more than so many, or reserved. */
  has(address: string, but = 0): boolean {
    return (this.counts.get(address) ?? 0) > but || this.reservedFor.has(address)
  }

  /** Reserved, and not taken yet. */
  *reserved(): Iterable<string> {
    for (const address of this.reservedFor.keys()) if (!this.counts.has(address)) yield address
  }

  isReservedFor(by: string): boolean {
    for (const other of this.reservedFor.values()) if (other === by) return true
    return false
  }

  take(address: string): void {
    const count = this.counts.get(address) ?? 0
    this.counts.set(address, count + 1)
    if (count === 0) this.listener.taken(address)
  }

  giveBack(address: string): void {
    const count = this.counts.get(address) ?? 0
    if (count > 1) {
      this.counts.set(address, count - 1)
      return
    }
    if (!this.counts.delete(address)) return
    this.listener.untaken(address)
    if (!this.reservedFor.has(address)) this.listener.free(address)
  }

  reserve(address: string, by: string): boolean {
    if (this.reservedFor.get(address) === by) return true
    if (this.has(address)) return false
    this.reservedFor.set(address, by)
    return true
  }

  release(address: string, by: string): void {
    if (this.reservedFor.get(address) !== by) return
    this.reservedFor.delete(address)
    if (!this.counts.has(address)) this.listener.free(address)
  }
}
