import { setTimeout as delay } from "node:timers/promises"
import { fittingLink } from "../fleet/fittingLink.ts"
import type { Assignment } from "../fleet/messages.ts"
import { gatewaysOf } from "./gateways.ts"
import { newHeld } from "./held.ts"
import type { Holder } from "./holder.ts"
import type { Heard } from "./kernel/frames.ts"
import type { Lan } from "./lan.ts"
import { Pair, type Standing } from "./pair.ts"
import { ownAddress } from "./peers.ts"
import { stays } from "./rank.ts"
import type { Surroundings } from "./surroundings.ts"
import { judge, notSilent } from "./watch.ts"

/** Answers are looked at this much after they were due, at most: else we do not know what we missed. */
const lateMillis = 100
/** What was never seen answered, of a node that is given up, is asked for so often. */
const unseenMillis = 5_000

/** Watches the nodes that this node stands by for, and takes over what nobody answers for any more. */
export class Standbys {
  readonly #around: Surroundings
  readonly #holder: Holder
  readonly #signal: AbortSignal
  /** Node → pair */
  readonly #pairs = new Map<string, Pair>()
  /** Address → standing, with its pair */
  readonly #byAddress = new Map<string, { readonly pair: Pair; readonly standing: Standing }>()
  /** Own address of a watched node → pair */
  readonly #byOwn = new Map<string, Pair>()
  /** Link's index → when it was last said that nothing is heard there */
  readonly #saidDeafAt = new Map<number, number>()

  constructor(around: Surroundings, holder: Holder, signal: AbortSignal) {
    this.#around = around
    this.#holder = holder
    this.#signal = signal
  }

  get size(): number {
    return this.#byAddress.size
  }

  /** Those whose holder has been heard within `seenMillis`: it is they that would be taken over just now. */
  get seen(): number {
    const since = performance.now() - this.#around.times.seenMillis
    let count = 0
    for (const { standing } of this.#byAddress.values()) if (standing.seenAt >= since) count++
    return count
  }

  set(assignment: Assignment): void {
    const { claim, address, holder, link: pin, term } = assignment
    const links = this.#around.links()
    const link = fittingLink(links, address, pin)
    const index = links.find(({ name }) => name === link?.name)?.index
    const before = this.#byAddress.get(address)
    const isPlacedSo = before?.pair.node === holder && before?.standing.assignment.term === term
    // The link that it would be on is another one by now, or the same under another index.
    const isElsewhere = index !== undefined && before?.standing.index !== index
    if (isPlacedSo && !isElsewhere) return
    // The same holder under a newer placement: it has been seen. Not on another link, which may lead to another LAN.
    const seenAt =
      before !== undefined && before.pair.node === holder && before.standing.index === index
        ? before.standing.seenAt
        : Number.NEGATIVE_INFINITY
    this.delete(claim)
    if (holder === undefined || index === undefined) return
    const known = this.#pairs.get(holder)
    const pair = known ?? new Pair(holder)
    const standing = { assignment, index, seenAt }
    pair.standings.set(claim, standing)
    this.#byAddress.set(address, { pair, standing })
    if (known !== undefined) return
    this.#pairs.set(holder, pair)
    this.#watch(pair).catch((cause: unknown) => {
      this.#around.say({ _tag: "Trouble", message: `watching ${holder}: ${String(cause)}` })
    })
  }

  delete(claim: string): void {
    for (const pair of this.#pairs.values()) {
      const standing = pair.standings.get(claim)
      if (standing === undefined) continue
      pair.standings.delete(claim)
      this.#byAddress.delete(standing.assignment.address)
    }
  }

  /** Somebody has an address, or has given it up: of one that is watched, only its holder is heeded. */
  hear(heard: Heard): void {
    const known = this.#byAddress.get(heard.address)
    if (known === undefined) {
      const pair = heard.what === "has" ? this.#byOwn.get(heard.address) : undefined
      if (pair?.macs.has(heard.mac)) pair.heardAt = performance.now()
      return
    }
    const { pair, standing } = known
    if (!pair.macs.has(heard.mac)) return
    if (heard.signature?.released === true) {
      // On purpose: it is not ours to take before its new holder has been seen.
      standing.seenAt = Number.NEGATIVE_INFINITY
    } else if (heard.what === "has") standing.seenAt = performance.now()
  }

  async #watch(pair: Pair): Promise<void> {
    const { times, beat } = this.#around
    while (!this.#signal.aborted && pair.standings.size > 0) {
      beat()
      try {
        const lost = await this.#round(pair)
        if (this.#signal.aborted) break
        if (lost !== undefined) await this.#takeOver(pair, lost)
        else await this.#takeUnseen(pair)
      } catch (cause) {
        // This watch is all that stands between the loss of that node and an outage: it goes on.
        this.#around.say({ _tag: "Trouble", message: `watching ${pair.node}: ${String(cause)}` })
        await delay(times.watchMillis, undefined, { signal: this.#signal }).catch(() => undefined)
      }
      const wait = pair.silence.claim > 0 ? 1 : times.watchMillis - times.answerMillis
      await delay(wait, undefined, { signal: this.#signal }).catch(() => undefined)
    }
    this.#pairs.delete(pair.node)
  }

  /** Asks the holder once; if it is lost, says on which of our links that was noticed. */
  async #round(pair: Pair): Promise<number | undefined> {
    const { times, peers, lan: lanOf, links } = this.#around
    const perRound = Math.ceil((pair.standings.size * times.watchMillis) / times.slowRoundMillis)
    const sample = pair.sample(peers.linksOf(pair.node), fittingLink, perRound)
    const lan = sample === undefined ? undefined : lanOf(sample.index)
    const sentAt = performance.now()
    if (sample !== undefined && lan !== undefined) {
      const asked = new Set(sample.others.map(({ assignment }) => assignment.address))
      if (sample.own !== undefined) {
        this.#byOwn.set(sample.own, pair)
        lan.askMachine([sample.own], sample.mac)
      }
      if (sample.standing !== undefined) asked.add(sample.standing.assignment.address)
      lan.askOne([...asked], sample.mac)
    }
    await delay(times.answerMillis, undefined, { signal: this.#signal }).catch(() => undefined)
    const late = performance.now() - sentAt > times.answerMillis + lateMillis
    lan?.drain()
    const standing = sample?.standing
    const hasCarrier = links().some(({ index, carrier }) => index === sample?.index && carrier)
    if (sample === undefined || lan === undefined || !hasCarrier) {
      pair.silence = notSilent
      return undefined
    }
    const isSeen = standing !== undefined && standing.seenAt > Number.NEGATIVE_INFINITY
    const { silence, verdict } = judge(
      pair.silence,
      {
        node: sample.own === undefined ? undefined : pair.heardAt >= sentAt,
        // Never seen: it may not be there yet.
        claim: isSeen ? standing.seenAt >= sentAt : undefined,
        late
      },
      times
    )
    pair.silence = silence
    if (verdict !== "lost") return undefined
    pair.silence = notSilent
    return (await this.#isDeaf(lan, pair, sentAt)) ? undefined : sample.index
  }

  /** Whether we hear nobody at all, not even when we ask: then it is we who are lost. */
  async #isDeaf(lan: Lan, pair: Pair, since: number): Promise<boolean> {
    const { peers, times } = this.#around
    if (lan.othersHeardAt(pair.macs) >= since) return false
    const others = [...peers.entries()]
      .filter(([node]) => node !== pair.node)
      .flatMap(([, links]) => links.flatMap((link) => [ownAddress(link, 4), ownAddress(link, 6)]))
      .filter((address) => address !== undefined)
    const often = { probes: 2, gapMillis: times.probeGapMillis * 2 }
    await lan.askMachines([...others, ...gatewaysOf(lan.name)], often)
    if (lan.othersHeardAt(pair.macs) >= since) return false
    const now = performance.now()
    if (now - (this.#saidDeafAt.get(lan.index) ?? Number.NEGATIVE_INFINITY) >= unseenMillis) {
      this.#saidDeafAt.set(lan.index, now)
      this.#around.say({ _tag: "Deaf", link: lan.name })
    }
    return true
  }

  /** Asks everybody for everything that the node held, and takes what nobody answers for. */
  async #takeOver(pair: Pair, index: number): Promise<void> {
    const { times } = this.#around
    const since = performance.now() - times.seenMillis
    const due = [...pair.standings.values()].filter(({ seenAt }) => seenAt >= since)
    if (due.length === 0) return
    this.#around.say({ _tag: "Silent", node: pair.node })
    // Heard of its silence on one link, it may well answer on another, where it is we who are lost.
    await this.#take(pair, await this.#audible(pair, due, index))
  }

  /** Those on links of ours that have a carrier, and on which anybody else is heard; on `asked` that is certain. */
  async #audible(pair: Pair, due: ReadonlyArray<Standing>, asked: number): Promise<ReadonlyArray<Standing>> {
    const { lan: lanOf, links, times } = this.#around
    const since = performance.now() - times.watchMillis
    const heard: Array<Standing> = []
    for (const [index, all] of Map.groupBy(due, (one) => one.index)) {
      const lan = lanOf(index)
      const hasCarrier = links().some((link) => link.index === index && link.carrier)
      if (lan === undefined || !hasCarrier) continue
      if (index === asked || !(await this.#isDeaf(lan, pair, since))) heard.push(...all)
    }
    return heard
  }

  /**
   * Of a node that NATS has not heard of for longer than its kernel keeps addresses, everything may be taken that
   * nobody answers for, seen or not: this process may have been restarted since, or the node have died first.
   */
  async #takeUnseen(pair: Pair): Promise<void> {
    const { times, peers, inContact, lan: lanOf, links } = this.#around
    const now = performance.now()
    const isGivenUp =
      inContact() && peers.absentMillis(pair.node) > times.lifetimeMillis + 2 * times.apartMillis
    if (!isGivenUp || now - pair.triedAt < unseenMillis) return
    const due = [...pair.standings.values()].filter(({ seenAt }) => seenAt < now - times.seenMillis)
    const heard: Array<Standing> = []
    for (const [index, all] of Map.groupBy(due, (one) => one.index)) {
      const lan = lanOf(index)
      const hasCarrier = links().some((link) => link.index === index && link.carrier)
      if (lan !== undefined && hasCarrier && !(await this.#isDeaf(lan, pair, now))) heard.push(...all)
    }
    // On a LAN where hardly anybody is left, a frame in so short a time is luck: who heard none listens again at once.
    if (due.length > 0 && heard.length === 0) return
    pair.triedAt = now
    await this.#take(pair, heard)
  }

  async #take(pair: Pair, due: ReadonlyArray<Standing>): Promise<void> {
    await Promise.all(
      Array.from(
        Map.groupBy(due, ({ index }) => index),
        ([index, all]) => this.#takeOn(index, all, pair)
      )
    )
  }

  async #takeOn(index: number, due: ReadonlyArray<Standing>, pair: Pair): Promise<void> {
    const { times, lan: lanOf, say, report, peers } = this.#around
    const lan = lanOf(index)
    if (lan === undefined) return
    const terms = new Map(due.map(({ assignment }) => [assignment.address, assignment.term]))
    const stalls = this.#around.beat()
    const answers = await lan.ask([...terms.keys()], {
      probes: times.probes,
      gapMillis: times.probeGapMillis,
      signature: (address) => ({ term: terms.get(address) ?? 0, taken: true, released: false })
    })
    if (this.#around.beat() !== stalls) return
    const macs = new Set([...answers.values()].flatMap((heard) => heard.map(({ mac }) => mac)))
    const foreign = new Set([...macs].filter((mac) => peers.nodeOf(mac) === undefined))
    const real =
      foreign.size === 0
        ? foreign
        : await this.#holder.proxies.without(lan, foreign, due[0]!.assignment.address)
    if (this.#around.beat() !== stalls) return
    const isSilent = ({ assignment: { address, term } }: Standing) =>
      (answers.get(address) ?? []).every(
        ({ what, mac, signature }) =>
          (foreign.has(mac) && !real.has(mac)) ||
          // Another one asks as well: who is assigned by this term or a newer one goes first, else the lower MAC.
          (what === "asks" &&
            (signature === undefined ||
              signature.released ||
              stays({ term, taken: true, mac: lan.mac }, { ...signature, mac })))
      )
    /** Its holder still has it: only what is beside it was silent. */
    const isThere = ({ assignment: { address } }: Standing) =>
      (answers.get(address) ?? []).some(({ what, mac }) => what === "has" && pair.macs.has(mac))
    const isStanding = (one: Standing) => pair.standings.get(one.assignment.claim) === one
    const taken = due.filter((one) => isStanding(one) && isSilent(one))
    // What somebody else answers for is in good hands; it is looked at again when its holder has been seen.
    const left = new Set(due).difference(new Set(taken))
    for (const one of left) if (!isThere(one)) one.seenAt = Number.NEGATIVE_INFINITY
    const now = performance.now()
    const helds = taken.map(({ assignment }) => newHeld({ ...assignment, index, taken: true }, now))
    for (const { assignment } of taken) this.delete(assignment.claim)
    const refused = await this.#holder.put(helds)
    for (const [{ address }, errno] of refused) {
      say({
        _tag: "Trouble",
        message: `the kernel refused ${address}, taken from ${pair.node}: errno ${errno}`
      })
    }
    const lost = new Set([...refused.keys()].map(({ claim }) => claim))
    for (const one of taken) {
      const { claim, address, term } = one.assignment
      if (!lost.has(claim)) continue
      // Watched on, and tried again when its holder is silent again; or bound, if it has been assigned meanwhile.
      const now = this.#around.assignmentOf(claim)
      if (now?.role === "standby" && now.term === term && !this.#byAddress.has(address)) {
        pair.standings.set(claim, one)
        this.#byAddress.set(address, { pair, standing: one })
      }
      this.#around.wake(claim)
    }
    const here = helds.filter((held) => !refused.has(held) && this.#holder.table.has(held))
    for (const { claim, address, term } of here) report({ claim, address, index, term, what: "taken" })
    if (here.length > 0) say({ _tag: "Took", node: pair.node, addresses: here.map(({ address }) => address) })
  }
}
