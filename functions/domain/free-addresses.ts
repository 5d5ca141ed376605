import * as Option from "effect/Option"
import { DistinctHeap } from "./heap.ts"
import type { PoolAddresses } from "./pool-addresses.ts"

/**
 * Finds the lowest free address of a pool in amortized O(log n), however many are in use.
 *
 * Everything below `cursor` is in use or in `freed`; what is at or above it has never been looked at. So each address
 * is passed once, and again only after somebody has given it back.
 */
export class FreeAddresses {
  readonly addresses: PoolAddresses
  private cursor = 0
  private readonly freedOffsets = new DistinctHeap()

  constructor(addresses: PoolAddresses) {
    this.addresses = addresses
  }

  /**
   * The lowest address that is not in use, and does not take it. Whoever says that an address is in use must say
   * `freed` when it no longer is, or it is not found again.
   */
  lowest(isUsed: (address: string) => boolean): Option.Option<string> {
    for (let offset = this.freedOffsets.smallest; offset !== undefined; offset = this.freedOffsets.smallest) {
      const address = this.addresses.nth(offset)!
      if (!isUsed(address)) return Option.some(address)
      this.freedOffsets.removeSmallest()
    }
    for (;;) {
      const address = this.addresses.nth(this.cursor)
      if (address === undefined) return Option.none()
      if (!isUsed(address)) return Option.some(address)
      this.cursor++
    }
  }

  /** The address is no longer in use. Ignored when it is none of this pool's. */
  freed(address: string): void {
    const offset = this.addresses.offsetOf(address)
    if (offset !== undefined && offset < this.cursor) this.freedOffsets.add(offset)
  }
}
