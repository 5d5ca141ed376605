import { type Held, HeldTable, signatureOf } from "./held.ts"
import type { Heard } from "./kernel/frames.ts"
import type { Lan } from "./lan.ts"
import { signersOf } from "./peers.ts"
import { Proxies } from "./proxies.ts"
import { stays } from "./rank.ts"
import type { Surroundings } from "./surroundings.ts"

/** So many addresses are given to the kernel in one turn of the event loop. */
const atOnce = 100
/** A dispute on the wire is answered this often at most. */
const defendMillis = 1_000
/** The kernel's clock and ours are not read in the same moment. */
const marginMillis = 500
const askAgainMillis = 500
/** EADDRNOTAVAIL: it was not there any more. */
const gone = 99

const chunksOf = <A>(all: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  Array.from({ length: Math.ceil(all.length / atOnce) }, (_, i) => all.slice(i * atOnce, (i + 1) * atOnce))

/** Whether it has let go of the address after all. */
const saysFarewell = ({ mac }: Heard, later: ReadonlyArray<Heard>): boolean =>
  later.some((one) => one.mac === mac && one.signature?.released === true)

const ofThoseWhoHave = (heard: ReadonlyArray<Heard>) => heard.filter(({ what }) => what === "has")

/** Keeps the addresses of this node on their links, and settles with others who have one of them as well. */
export class Holder {
  readonly table = new HeldTable()
  readonly proxies: Proxies
  readonly #around: Surroundings
  readonly #disputed = new Set<Held>()
  #verifying = new Set<Held>()

  constructor(around: Surroundings) {
    this.#around = around
    this.proxies = new Proxies((link, mac) => around.say({ _tag: "Proxy", link, mac }))
  }

  /**
   * Puts addresses on their links, and announces them. Gives back the errno of those that the kernel refused. An
   * address of the table that was dropped meanwhile is not put back.
   */
  async put(wanted: ReadonlyArray<Held>): Promise<ReadonlyMap<Held, number>> {
    for (const held of wanted) this.table.add(held)
    const refused = await this.#give(wanted, this.#around.times.lifetimeMillis)
    for (const held of refused.keys()) this.table.delete(held)
    this.announce(wanted.filter((held) => this.table.has(held) && !held.doubted))
    return refused
  }

  /** Those that were doubted when this process has slept meanwhile are left out: they are being verified. */
  async #give(wanted: Iterable<Held>, lifetimeMillis: number): Promise<ReadonlyMap<Held, number>> {
    const { kernel, beat } = this.#around
    const refused = new Map<Held, number>()
    const stalls = beat()
    for (const [index, all] of Map.groupBy(wanted, (held) => held.index)) {
      for (const chunk of chunksOf(all)) {
        if (beat() !== stalls) return refused
        // The kernel would make what we have dropped since; in one chunk nothing comes in between.
        const now = performance.now()
        const still = chunk.filter((held) => this.table.has(held) && !held.doubted)
        if (still.length === 0) continue
        const errnos = await kernel.put(
          index,
          still.map(({ address }) => address),
          lifetimeMillis / 1000
        )
        still.forEach((held, i) => {
          if (errnos[i] === 0) held.renewedAt = now
          else refused.set(held, errnos[i] ?? -1)
        })
      }
    }
    return refused
  }

  /** Takes addresses off their links, and tells those who stand by for them, unless they are to take them. */
  async drop(leaving: ReadonlyArray<Held>, farewell = true): Promise<void> {
    const { kernel, lan } = this.#around
    const dropped = leaving.filter((held) => this.table.delete(held))
    for (const [index, all] of Map.groupBy(dropped, (held) => held.index)) {
      const errnos = await kernel.remove(
        index,
        all.map(({ address }) => address)
      )
      const left = all.filter((_, i) => errnos[i] !== 0 && errnos[i] !== gone)
      if (left.length > 0) {
        const message = `the kernel would not let go of ${left.map(({ address }) => address).join(", ")}`
        this.#around.say({ _tag: "Trouble", message })
      }
      if (!farewell) continue
      lan(index)?.farewell(
        all.map((held) => ({ address: held.address, signature: { ...signatureOf(held), released: true } }))
      )
    }
  }

  /** Announces addresses: a few at once, thousands over some turns of the event loop, as long as they are here. */
  announce(helds: ReadonlyArray<Held>): void {
    const now = performance.now()
    for (const held of helds) {
      held.announcedAt = now
      held.announcements++
    }
    const isIdle = this.#announcing.length === 0
    this.#announcing.push(...chunksOf(helds))
    if (isIdle) this.#announceNext()
  }
  #announcing: Array<ReadonlyArray<Held>> = []

  #announceNext(): void {
    const chunk = this.#announcing[0]
    if (chunk === undefined) return
    this.#around.beat()
    const still = chunk.filter((held) => this.table.has(held) && !held.doubted)
    try {
      for (const [index, all] of Map.groupBy(still, (held) => held.index)) {
        this.#around
          .lan(index)
          ?.announce(all.map((held) => ({ address: held.address, signature: signatureOf(held) })))
      }
    } catch (cause) {
      // What cannot be said of one must not keep the others from being announced.
      this.#around.say({ _tag: "Trouble", message: `announce: ${String(cause)}` })
    }
    if (this.#announcing.length === 1) this.#announcing = []
    else
      setImmediate(() => {
        this.#announcing.shift()
        this.#announceNext()
      })
  }

  /** Announces what is due for it. */
  announceDue(): void {
    const { announceAgainMillis, announceMillis } = this.#around.times
    const now = performance.now()
    const due: Array<Held> = []
    for (const held of this.table) {
      const wait = announceAgainMillis[held.announcements - 1] ?? announceMillis
      if (!held.doubted && now - held.announcedAt >= wait) due.push(held)
    }
    if (due.length > 0) this.announce(due)
  }

  /** Renews what is due. What the kernel may have dropped already is asked for first. */
  async renew(): Promise<void> {
    this.#around.beat()
    const { renewMillis, lifetimeMillis } = this.#around.times
    const now = performance.now()
    const due: Array<Held> = []
    const late: Array<Held> = []
    for (const held of this.table) {
      if (held.doubted || now - held.renewedAt < renewMillis) continue
      if (now - held.renewedAt > lifetimeMillis - marginMillis) late.push(held)
      else due.push(held)
    }
    await this.#renewNow(due)
    if (late.length > 0) await this.verify(late)
  }

  async #renewNow(due: ReadonlyArray<Held>): Promise<void> {
    const refused = await this.#give(due, this.#around.times.lifetimeMillis)
    for (const [held, errno] of refused) {
      this.#around.say({ _tag: "Trouble", message: `the kernel refused ${held.address}: errno ${errno}` })
    }
  }

  /** The kernel says that an address is gone, and it was not us. */
  removed(addresses: ReadonlyArray<Held>): void {
    this.#around.beat()
    const { lifetimeMillis } = this.#around.times
    const now = performance.now()
    const here = addresses.filter((held) => this.table.has(held) && !held.doubted)
    const taken = here.filter((held) => now - held.renewedAt < lifetimeMillis - marginMillis)
    const expired = here.filter((held) => !taken.includes(held))
    if (taken.length > 0) {
      this.#around.say({ _tag: "PutBack", addresses: taken.map(({ address }) => address) })
      // A link that goes down and up again loses them, and hears nothing meanwhile: announced as often as new ones.
      for (const held of taken) held.announcements = 0
      void this.#renewNow(taken).then(() => this.announce(taken.filter((held) => this.table.has(held))))
    }
    if (expired.length > 0) void this.verify(expired)
  }

  /** Doubts everything: this process slept, or the link was away. */
  doubt(which: Iterable<Held> = this.table): ReadonlyArray<Held> {
    const doubted = [...which]
    for (const held of doubted) held.doubted = true
    return doubted
  }

  /** Asks the network whether somebody else has what we hold, and keeps what is ours by right. */
  async verify(which: ReadonlyArray<Held>, isKnown = false): Promise<void> {
    const asked = this.doubt(which.filter((held) => this.table.has(held) && !this.#verifying.has(held)))
    if (asked.length === 0) return
    for (const held of asked) this.#verifying.add(held)
    try {
      let stalls: number
      do {
        stalls = this.#around.beat()
        const open = asked.filter((held) => this.table.has(held) && held.doubted)
        await Promise.all(
          Array.from(
            Map.groupBy(open, ({ index }) => index),
            ([index, all]) => this.#verifyOn(index, all, stalls, isKnown)
          )
        )
      } while (this.#around.beat() !== stalls)
    } catch (cause) {
      // The network could not be asked: what we hold stays as it is, neither renewed nor announced, and is asked for again.
      this.#around.say({ _tag: "Trouble", message: `asking for what is held: ${String(cause)}` })
      setTimeout(() => {
        void this.verify(
          asked.filter((held) => held.doubted),
          isKnown
        )
      }, askAgainMillis)
    } finally {
      for (const held of asked) this.#verifying.delete(held)
    }
  }

  /**
   * What is heard of addresses that are held here, by address. Whoever has one as well has heard our signed question, and
   * says what he holds it by: a busy node of ours says it late.
   */
  async #hearOf(lan: Lan, asked: ReadonlyArray<Held>): Promise<ReadonlyMap<string, ReadonlyArray<Heard>>> {
    const { times, peers } = this.#around
    const by = new Map(asked.map((held) => [held.address, held]))
    const answers = new Map<string, ReadonlyArray<Heard>>(asked.map(({ address }) => [address, []]))
    const ask = async (
      probes: number,
      gapMillis: number,
      isOpen: (heard: ReadonlyArray<Heard>) => boolean
    ) => {
      const open = [...answers].flatMap(([address, heard]) => (isOpen(heard) ? [address] : []))
      if (open.length === 0) return
      const signature = (address: string) => signatureOf(by.get(address)!)
      const more = await lan.ask(open, { probes, gapMillis, signature })
      for (const [address, heard] of more) answers.set(address, [...answers.get(address)!, ...heard])
    }
    await ask(times.probes, times.probeGapMillis, () => true)
    await ask(2, 60, (heard) => ofThoseWhoHave(heard).some((one) => one.signature === undefined))
    // Without NATS nothing else tells whose it is by right, and a stranger might be a node that was not heard of.
    await ask(4, times.unsignedMillis / 4, (heard) => {
      const signers = signersOf(heard)
      return ofThoseWhoHave(heard).some(
        ({ mac }) => !signers.has(mac) && (peers.nodeOf(mac) === undefined || !this.#around.inContact())
      )
    })
    return answers
  }

  /** `isKnown`: the kernel has answered for them all the time, so that everybody knows where they are. */
  async #verifyOn(
    index: number,
    asked: ReadonlyArray<Held>,
    stalls: number,
    isKnown: boolean
  ): Promise<void> {
    const { lan: lanOf, times, peers } = this.#around
    const lan = lanOf(index)
    if (lan === undefined) return
    const now = performance.now()
    const dropped = new Set(asked.filter(({ renewedAt }) => now - renewedAt >= times.lifetimeMillis))
    const answers = await this.#hearOf(lan, asked)
    if (this.#around.beat() !== stalls) return
    const keep: Array<Held> = []
    for (const held of asked) {
      if (!this.table.has(held)) continue
      const heard = answers.get(held.address)!
      const still = ofThoseWhoHave(heard).filter(
        (one) => !saysFarewell(one, heard.slice(heard.indexOf(one) + 1))
      )
      const ours = still.filter(peers.amongThem(heard))
      const strangers = new Set(
        still.filter((one) => !ours.some(({ mac }) => mac === one.mac)).map(({ mac }) => mac)
      )
      const [foreign] = strangers.size === 0 ? [] : await this.proxies.without(lan, strangers, held.address)
      if (!this.table.has(held)) continue
      // One that asks as well at this moment says in its questions what it holds it by.
      const asking = heard.filter(
        ({ what, mac, signature }) =>
          what === "asks" && signature?.released === false && ours.some((one) => one.mac === mac)
      )
      if (ours.length > 0 && !this.#outranks(held, [...ours, ...asking], lan.mac, dropped.has(held))) {
        const node = peers.nodeOf(ours[0]!.mac) ?? ours[0]!.mac
        await this.#yield(held, `${node} holds it by now`)
      } else if (ours.length === 0 && foreign !== undefined) await this.#withdraw(held, foreign)
      else keep.push(held)
    }
    if (this.#around.beat() !== stalls) return
    for (const held of keep) held.doubted = false
    const refused = await this.#give(keep, times.lifetimeMillis)
    for (const held of refused.keys()) this.table.delete(held)
    for (const held of refused.keys()) this.#around.wake(held.claim)
    const here = keep.filter((held) => this.table.has(held) && !held.doubted)
    if (!isKnown) this.announce(here)
    else for (const held of here) held.announcedAt = performance.now()
  }

  /**
   * `isDropped`: the kernel has not had the address any more, so that whoever took it did so by right, whether that has been
   * recorded yet or not. Only a newer assignment takes it back.
   */
  #outranks(held: Held, others: ReadonlyArray<Heard>, mac: string, isDropped: boolean): boolean {
    const me = { term: held.term, taken: held.taken, mac }
    const signed = others.filter((one) => one.signature !== undefined)
    if (isDropped) return signed.length > 0 && signed.every((one) => one.signature!.term < held.term)
    if (signed.length > 0) return signed.every((one) => stays(me, { ...one.signature!, mac: one.mac }))
    // He does not say what he holds it by. What NATS says now is newer than what either of us remembers.
    return this.#around.inContact() && this.#around.assignmentOf(held.claim)?.role === "holder"
  }

  /** Somebody else speaks of an address that we hold. */
  hear(heard: Heard, lan: Lan): void {
    const held = this.table.at(heard.address)
    if (held === undefined || held.index !== lan.index || held.doubted) return
    const { peers } = this.#around
    const { signature } = heard
    if (heard.what === "asks") {
      if (signature === undefined || signature.released) return
      // A newer assignment is about to be carried out there, and the word of it is on its way to us. Without NATS it
      // will not come: then we keep what we have, and whoever asks waits.
      if (signature.term > held.term && this.#around.inContact()) {
        void this.#yield(held, `${peers.nodeOf(heard.mac) ?? heard.mac} has a newer assignment`)
      } else this.#defend(held)
      return
    }
    if (signature === undefined) {
      if (peers.nodeOf(heard.mac) === undefined) {
        // The network could not be asked: he is, when he speaks again.
        this.#dispute(held, lan).catch((cause: unknown) => {
          this.#around.say({ _tag: "Trouble", message: `asking for ${held.address}: ${String(cause)}` })
        })
      } else this.#defend(held)
      return
    }
    if (stays({ term: held.term, taken: held.taken, mac: lan.mac }, { ...signature, mac: heard.mac })) {
      this.#defend(held)
      return
    }
    // What we have just taken is being recorded: with that, the other one is told to leave.
    const isBeingRecorded =
      held.term === signature.term &&
      this.#around.inContact() &&
      performance.now() - held.since < this.#around.times.apartMillis
    if (!isBeingRecorded) void this.#yield(held, `${peers.nodeOf(heard.mac) ?? heard.mac} holds it by right`)
  }

  #defend(held: Held): void {
    this.#around.beat()
    if (!held.doubted && performance.now() - held.announcedAt >= defendMillis / 5) this.announce([held])
  }

  async #yield(held: Held, reason: string): Promise<void> {
    if (!this.table.has(held)) return
    const { claim, address, index, term } = held
    await this.drop([held])
    this.#around.say({ _tag: "Yielded", address, reason })
    this.#around.report({ claim, address, index, term, what: "released", reason })
    // If it is still assigned to us, it is asked for until it is free.
    this.#around.wake(claim)
  }

  /** A machine that is none of ours speaks as if it had the address: withdrawn, if it really has. */
  async #dispute(held: Held, lan: Lan): Promise<void> {
    if (this.#disputed.has(held)) return
    this.#disputed.add(held)
    try {
      const { peers } = this.#around
      const heard = (await this.#hearOf(lan, [held])).get(held.address)!
      const isOurs = peers.amongThem(heard)
      const macs = new Set(
        ofThoseWhoHave(heard)
          .filter((one) => !isOurs(one))
          .map(({ mac }) => mac)
      )
      const [foreign] = macs.size === 0 ? [] : await this.proxies.without(lan, macs, held.address)
      if (!this.table.has(held)) return
      if (foreign === undefined) {
        this.#defend(held)
        return
      }
      await this.#withdraw(held, foreign)
    } finally {
      this.#disputed.delete(held)
    }
  }

  /** A machine that is none of ours has the address. */
  async #withdraw(held: Held, foreign: string): Promise<void> {
    const { claim, address, index, term } = held
    await this.drop([held])
    this.#around.say({ _tag: "Disputed", address, mac: foreign })
    this.#around.report({ claim, address, index, term, what: "conflict", foreign })
    this.#around.wake(claim)
  }

  /** For the end of this process: the kernel keeps everything for so long. */
  async leaveFor(lifetimeMillis: number): Promise<void> {
    await this.#give(
      [...this.table].filter((held) => !held.doubted),
      lifetimeMillis
    )
  }
}
