import { fittingLink } from "../fleet/fittingLink.ts"
import type { Assignment } from "../fleet/messages.ts"
import {
  type BindFailure,
  type Bound,
  HeldByForeign,
  HeldByOurs,
  HeldByUnknown,
  KernelSaidNo,
  NoFittingLink
} from "../Wire.ts"
import { type Held, newHeld } from "./held.ts"
import type { Holder } from "./holder.ts"
import type { Heard } from "./kernel/frames.ts"
import type { Lan } from "./lan.ts"
import { stays } from "./rank.ts"
import type { Surroundings } from "./surroundings.ts"

interface Wanted {
  readonly assignment: Assignment
  readonly resolve: (bound: Bound | undefined) => void
  readonly reject: (failure: BindFailure) => void
}

/** Binds addresses: many that are wanted in one moment are asked for, added and announced together. */
export class Binder {
  readonly #around: Surroundings
  readonly #holder: Holder
  /** Link's index → what is to be bound there in the next round */
  readonly #next = new Map<number, Array<Wanted>>()
  /** Address → the MAC that answers for it without a signature, and since when it has been asked */
  readonly #unsigned = new Map<string, { readonly mac: string; readonly since: number }>()

  constructor(around: Surroundings, holder: Holder) {
    this.#around = around
    this.#holder = holder
  }

  /** @throws BindFailure */
  async bind(assignment: Assignment): Promise<Bound | undefined> {
    const { address, claim, link: pin } = assignment
    const links = this.#around.links()
    const link = fittingLink(links, address, pin)
    const lan =
      link === undefined ? undefined : this.#around.lan(links.find(({ name }) => name === link.name)!.index)
    if (lan === undefined) {
      throw new NoFittingLink({
        address,
        detail:
          pin === undefined
            ? "no link has its subnet, and there is no default route"
            : `no link ${pin} with a carrier`
      })
    }
    const held = this.#holder.table.get(claim)
    if (held !== undefined && held.index === lan.index && held.address === address) {
      this.#confirm(held, assignment)
      return { address, link: lan.name, mac: lan.mac, isNew: false }
    }
    if (held !== undefined) await this.#holder.drop([held])
    return await new Promise((resolve, reject) => {
      const wanted = { assignment, resolve, reject }
      const next = this.#next.get(lan.index)
      if (next !== undefined) next.push(wanted)
      else {
        this.#next.set(lan.index, [wanted])
        setImmediate(() => {
          const all = this.#next.get(lan.index)!
          this.#next.delete(lan.index)
          this.#round(lan, all).catch((cause: unknown) => {
            this.#around.say({ _tag: "Trouble", message: `bind: ${String(cause)}` })
            for (const one of all)
              one.reject(new KernelSaidNo({ address: one.assignment.address, errno: -1 }))
          })
        })
      }
    })
  }

  /** It is here already; a newer assignment says so as well. */
  #confirm(held: Held, { term }: Assignment): void {
    if (term < held.term || (term === held.term && !held.taken)) return
    held.term = term
    held.taken = false
    // Whoever holds it by an older one hears that, and leaves.
    if (!held.doubted) this.#holder.announce([held])
    this.#report(held)
  }

  #report({ claim, address, index, term }: Held): void {
    this.#around.report({ claim, address, index, term, what: "bound" })
  }

  #isCurrent = ({ claim, term }: Assignment): boolean => {
    const now = this.#around.assignmentOf(claim)
    return now?.role === "holder" && now.term === term && this.#holder.table.get(claim) === undefined
  }

  async #round(lan: Lan, all: ReadonlyArray<Wanted>): Promise<void> {
    const { times, beat } = this.#around
    const stalls = beat()
    const terms = new Map(all.map(({ assignment }) => [assignment.address, assignment.term]))
    const signature = (address: string) => ({
      term: terms.get(address) ?? 0,
      taken: false,
      released: false
    })
    const asked = { probes: times.probes, gapMillis: times.probeGapMillis, signature }
    const answers = await lan.ask([...terms.keys()], asked)
    const strange = [...answers].filter(([, heard]) => this.#areStrangers(heard)).map(([address]) => address)
    // A node of ours that we have not heard of yet has heard our signed question, and says that it is one.
    const more =
      strange.length === 0 ? undefined : await lan.ask(strange, { probes: 2, gapMillis: 60, signature })
    const heardOf = (address: string) => [...(answers.get(address) ?? []), ...(more?.get(address) ?? [])]
    if (beat() !== stalls) {
      // What was heard is old news.
      const asleep = ({ address }: Assignment) =>
        new HeldByOurs({ address, node: "another node, for all we know," })
      for (const { assignment, reject } of all) reject(asleep(assignment))
      return
    }
    const free: Array<{ readonly wanted: Wanted; readonly held: Held }> = []
    for (const wanted of all) {
      const { assignment, resolve, reject } = wanted
      if (!this.#isCurrent(assignment)) {
        resolve(undefined)
        continue
      }
      const { address } = assignment
      const stranger = strange.includes(address)
        ? answers.get(address)?.find(({ what }) => what === "has")
        : undefined
      const hasLeft = stranger !== undefined && !more?.get(address)?.some(({ what }) => what === "has")
      const failure = hasLeft
        ? new HeldByOurs({ address, node: `${stranger.mac}, which has just let go of it,` })
        : await this.#whyNot(assignment, heardOf(address), lan)
      if (failure === undefined) {
        const held = newHeld({ ...assignment, index: lan.index, taken: false }, performance.now())
        free.push({ wanted, held })
      } else reject(failure)
    }
    if (beat() !== stalls) {
      for (const { wanted } of free) {
        const { address } = wanted.assignment
        wanted.reject(new HeldByOurs({ address, node: "another node, for all we know," }))
      }
      return
    }
    const current = free.filter(({ wanted }) => {
      const isCurrent = this.#isCurrent(wanted.assignment)
      if (!isCurrent) wanted.resolve(undefined)
      return isCurrent
    })
    const refused = await this.#holder.put(current.map(({ held }) => held))
    for (const { wanted, held } of current) {
      const errno = refused.get(held)
      if (errno !== undefined) {
        wanted.reject(new KernelSaidNo({ address: held.address, errno }))
        continue
      }
      // Yielded meanwhile, and said so.
      if (!this.#holder.table.has(held)) {
        wanted.resolve(undefined)
        continue
      }
      this.#report(held)
      wanted.resolve({ address: held.address, link: lan.name, mac: lan.mac, isNew: true })
    }
  }

  /** Somebody has the address, and nobody of those who have it is known to be a node of ours. */
  #areStrangers(heard: ReadonlyArray<Heard>): boolean {
    const has = heard.filter(({ what }) => what === "has")
    return has.length > 0 && !has.some(this.#around.peers.amongThem(heard))
  }

  /**
   * Whether whoever answers without a signature is none of ours. A node that took the address over while NATS was away
   * is in nobody's list yet, and signs late when it is busy: called foreign, it would lose what it answers for.
   */
  #isForeign(address: string, mac: string): boolean {
    const { peers, times } = this.#around
    const now = performance.now()
    const before = this.#unsigned.get(address)
    const since = before?.mac === mac ? before.since : now
    this.#unsigned.set(address, { mac, since })
    return now - since >= times.unsignedMillis && peers.readMillis >= times.heardOfMillis
  }

  /** Why the address cannot be put on the link now, by what was heard of it. */
  async #whyNot(
    { claim, address, term }: Assignment,
    heard: ReadonlyArray<Heard>,
    lan: Lan
  ): Promise<BindFailure | undefined> {
    const { peers } = this.#around
    const has = heard.filter(({ what }) => what === "has")
    const ours = has.find(peers.amongThem(heard))
    const macs = new Set(ours === undefined ? has.map(({ mac }) => mac) : [])
    const [stranger] = macs.size === 0 ? [] : await this.#holder.proxies.without(lan, macs, address)
    if (stranger === undefined) this.#unsigned.delete(address)
    else if (this.#isForeign(address, stranger)) {
      const { index } = lan
      this.#around.report({ claim, address, index, term, what: "conflict", foreign: stranger })
      return new HeldByForeign({ address, mac: stranger })
    } else return new HeldByUnknown({ address, mac: stranger })
    if (ours !== undefined) return new HeldByOurs({ address, node: peers.nodeOf(ours.mac) ?? ours.mac })
    const me = { term, taken: false, mac: lan.mac }
    const ahead = heard.find(
      ({ what, mac, signature }) =>
        what === "asks" && signature !== undefined && !signature.released && !stays(me, { ...signature, mac })
    )
    return ahead === undefined
      ? undefined
      : new HeldByOurs({ address, node: peers.nodeOf(ahead.mac) ?? ahead.mac })
  }
}
