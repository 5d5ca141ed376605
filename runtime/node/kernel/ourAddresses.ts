import type { ReadAddress } from "./rtnetlinkRead.ts"

const isWhole = (read: ReadAddress): boolean => read.prefix === (read.address.includes(":") ? 128 : 32)

/** The addresses that carry our mark and no subnet, as of the last event that has been looked at. */
export class OurAddresses {
  readonly #mark: number
  /** Index of the link → its addresses */
  readonly #addresses = new Map<number, Set<string>>()

  constructor(mark: number) {
    this.#mark = mark
  }

  has(index: number, address: string): boolean {
    return this.#addresses.get(index)?.has(address) === true
  }

  add(index: number, address: string): void {
    const known = this.#addresses.get(index)
    if (known === undefined) this.#addresses.set(index, new Set([address]))
    else known.add(address)
  }

  delete(index: number, address: string): void {
    this.#addresses.get(index)?.delete(address)
  }

  /** The link is gone. */
  forget(index: number): void {
    this.#addresses.delete(index)
  }

  /** Takes up what has been told of an address; returns whether it carries our mark. */
  note(read: ReadAddress, isThere: boolean): boolean {
    const marked = read.protocol === this.#mark
    if (isWhole(read)) {
      if (marked && isThere) this.add(read.index, read.address)
      else this.delete(read.index, read.address)
    }
    return marked
  }

  replace(all: ReadonlyArray<ReadAddress>): void {
    this.#addresses.clear()
    for (const read of all) this.note(read, true)
  }
}
