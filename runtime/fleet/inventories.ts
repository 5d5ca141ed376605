import type { FleetNode, Inventory, Report } from "../Fleet.ts"
import type { InventoryMessage } from "./messages.ts"

type Held = Map<string, { readonly address: string; readonly link: string; readonly term: number }>

interface Taken extends Inventory {
  readonly held: Held
}

/**
 * What the nodes hold. An inventory counts as long as it is the one that its node's presence names: what a restored
 * JetStream has is an older one. Of a node that is lost the last one counts.
 */
export class Inventories {
  readonly #all = new Map<string, Taken>()
  /** Those that count. */
  readonly valid = new Map<string, Inventory>()
  /** Node → the inventory that its presence names; "any" where it names none */
  readonly #expected = new Map<string, string>()
  readonly #stateOf: (node: string) => FleetNode["state"] | undefined

  constructor(stateOf: (node: string) => FleetNode["state"] | undefined) {
    this.#stateOf = stateOf
  }

  clear(): void {
    this.#all.clear()
    this.valid.clear()
    this.#expected.clear()
  }

  /** True when there is an inventory that counts from now on. */
  take(node: string, { id, held }: InventoryMessage): boolean {
    const map: Held = new Map(held.map(({ claim, address, link, term }) => [claim, { address, link, term }]))
    this.#all.set(node, { id, held: map })
    return this.#judge(node)
  }

  expect(node: string, id: string | undefined): boolean {
    this.#expected.set(node, id ?? any)
    return this.#judge(node)
  }

  unexpect(node: string): boolean {
    return this.#judge(node)
  }

  /** The node is given up, and nothing is placed there: what it held counts no more until it is heard of again. */
  forget(node: string): void {
    this.#expected.delete(node)
    this.valid.delete(node)
  }

  /** A later word adds to the inventory, or takes out of it. */
  report({ node, claim, what, address, link, term }: Report): void {
    const held = this.#all.get(node)?.held
    if (what === "bound" || what === "taken") held?.set(claim, { address, link, term })
    else held?.delete(claim)
  }

  #judge(node: string): boolean {
    const taken = this.#all.get(node)
    const expected = this.#expected.get(node)
    const state = this.#stateOf(node)
    const counts =
      taken !== undefined &&
      (expected === undefined
        ? state === "lost" || state === "abandoned"
        : expected === any || expected === taken.id)
    const before = this.valid.get(node)
    if (counts) this.valid.set(node, taken)
    else this.valid.delete(node)
    return counts && before !== taken
  }
}

const any = "any"
