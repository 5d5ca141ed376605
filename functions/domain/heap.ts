/** A heap of distinct numbers: `smallest` in O(1), `add` and `removeSmallest` in O(log n). */
export class DistinctHeap {
  private readonly items: Array<number> = []
  private readonly present = new Set<number>()

  get smallest(): number | undefined {
    return this.items[0]
  }

  add(item: number): void {
    if (this.present.has(item)) return
    this.present.add(item)
    const items = this.items
    let at = items.length
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (items[parent]! <= item) break
      items[at] = items[parent]!
      at = parent
    }
    items[at] = item
  }

  removeSmallest(): void {
    const items = this.items
    const smallest = items[0]
    if (smallest === undefined) return
    this.present.delete(smallest)
    const item = items.pop()!
    if (items.length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= items.length) break
      if (child + 1 < items.length && items[child + 1]! < items[child]!) child++
      if (items[child]! >= item) break
      items[at] = items[child]!
      at = child
    }
    items[at] = item
  }
}
