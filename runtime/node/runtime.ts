import { setTimeout as delay } from "node:timers/promises"
import type { JsMsg } from "@nats-io/jetstream"
import { nuid } from "@nats-io/transport-node"
import type { Report } from "../Fleet.ts"
import { type Assignment, claimKeyOf, type InventoryMessage, type Presence } from "../fleet/messages.ts"
import type { Bound } from "../Wire.ts"
import { Binder } from "./binder.ts"
import { CutOff } from "./cutOff.ts"
import { type Held, newHeld } from "./held.ts"
import { Holder } from "./holder.ts"
import { ipvsTrouble, Kernel } from "./kernel/kernel.ts"
import { Poller } from "./kernel/poller.ts"
import type { KernelEvent } from "./kernel/types.ts"
import { Lan } from "./lan.ts"
import { type LinkChoice, usableLinks } from "./links.ts"
import { OutOfReach } from "./outOfReach.ts"
import { Peers } from "./peers.ts"
import { Slice } from "./slice.ts"
import { SliceFile } from "./sliceFile.ts"
import { Standbys } from "./standbys.ts"
import type { NodeLink, NodeNews, Surroundings } from "./surroundings.ts"
import type { NodeTimes } from "./times.ts"

/** The kernel's mark on our addresses (IFA_PROTO): those with another one, or none, are not touched. */
export const mark = 0x65

const beatMillis = 100
/** What the kernel tells in one moment is looked at once. */
const settleMillis = 20
const lookAgainMillis = 10_000
/** `ip address flush` looks again until nothing is left, ten times: what is put back sooner makes it fail. */
const putBackMillis = 50

export interface RuntimeOptions {
  readonly node: string
  readonly version: string
  readonly times: NodeTimes
  readonly choice: LinkChoice
  /** Where the slice is kept over a restart of the runtime. */
  readonly file: string
  readonly inContact: () => boolean
  readonly report: (report: Report) => void
  /** `bind-on-node` is to be run for the claim: its assignment is another one, or something has happened. */
  readonly changed: (claim: string, assignment: Assignment | undefined, message: JsMsg | undefined) => void
  readonly wake: (claim: string) => void
  /** The node's links are not what they were. */
  readonly linksChanged: () => void
  readonly say: (news: NodeNews) => void
}

/** Everything that a node does about addresses, apart from NATS: it goes on when NATS is away. */
export class NodeRuntime {
  readonly peers = new Peers()
  readonly slice: Slice
  readonly holder: Holder
  readonly standbys: Standbys
  readonly #options: RuntimeOptions
  readonly #around: Surroundings
  readonly #binder: Binder
  readonly #outOfReach: OutOfReach
  readonly #kernel: Kernel
  readonly #poller = new Poller()
  readonly #lans = new Map<number, Lan>()
  readonly #file: SliceFile
  readonly #stop = new AbortController()
  readonly #session = nuid.next()
  #cutOff: CutOff | undefined
  #links: ReadonlyArray<NodeLink> = []
  /** Link's index → since when it has no carrier */
  readonly #deadSince = new Map<number, number>()
  #beatAt = performance.now()
  #stalls = 0
  /** By the clock on the wall, which goes on while a machine is suspended. */
  #beatAtWall = Date.now()
  #ownMacs: ReadonlySet<string> = new Set()
  #message: JsMsg | undefined
  #looking: ReturnType<typeof setTimeout> | undefined
  #puttingBack: ReturnType<typeof setTimeout> | undefined
  #removed: Array<Held> = []
  /** Events were lost since the links were looked at. */
  #overrun = false
  #lookedAt = Number.NEGATIVE_INFINITY
  #beats: ReturnType<typeof setInterval> | undefined

  /** @throws KernelRefused when the kernel does not let us, or cannot. */
  constructor(options: RuntimeOptions) {
    this.#options = options
    const { say } = options
    this.#file = new SliceFile(options.file, (message) => say({ _tag: "Trouble", message }))
    this.#kernel = Kernel.open({ mark, poller: this.#poller, onEvent: (event) => this.#onKernel(event) })
    this.slice = new Slice(
      (claim) => this.holder.table.get(claim) !== undefined,
      (claim, assignment) => {
        options.changed(claim, assignment, this.#message)
        this.#remember()
      }
    )
    this.#around = {
      times: options.times,
      kernel: this.#kernel,
      links: () => this.#links,
      lan: (index) => this.#lans.get(index),
      peers: this.peers,
      inContact: () => options.inContact() && this.slice.isWhole,
      assignmentOf: (claim) => this.slice.find(claim),
      beat: () => this.#beat(),
      report: ({ index, ...report }) => {
        const link = this.#links.find((one) => one.index === index)
        options.report({
          ...report,
          node: options.node,
          at: Date.now(),
          link: link?.name ?? "",
          mac: link?.mac ?? ""
        })
        this.#remember()
      },
      wake: options.wake,
      say
    }
    this.holder = new Holder(this.#around)
    this.#binder = new Binder(this.#around, this.holder)
    this.#outOfReach = new OutOfReach(this.#around, this.holder, (held, reason) =>
      this.#release(held, reason)
    )
    this.standbys = new Standbys(this.#around, this.holder, this.#stop.signal)
  }

  get links(): ReadonlyArray<NodeLink> {
    return this.#links
  }

  presence(): Omit<Presence, "inventory"> {
    const links = this.#links.map(({ index: _index, ...link }) => link)
    return { links, version: this.#options.version, session: this.#session }
  }

  inventory(): InventoryMessage["held"] {
    return Array.from(this.holder.table, ({ claim, address, index, term }) => ({
      claim,
      address,
      link: this.#links.find((link) => link.index === index)?.name ?? "",
      term
    }))
  }

  /** Takes up what the kernel still has, and what was known at the last end; asks the network before it renews. */
  async run(signal: AbortSignal): Promise<void> {
    const remembered = this.#file.read()
    for (const [node, links] of Object.entries(remembered?.nodes ?? {})) this.peers.set(node, links)
    this.#look()
    this.peers.set(this.#options.node, this.#links)
    this.#adopt(new Map((remembered?.held ?? []).map((held) => [held.address, held])))
    for (const assignment of remembered?.assignments ?? []) this.slice.put(assignment)
    const trouble = ipvsTrouble(this.#kernel.links())
    if (trouble !== undefined) this.#options.say({ _tag: "Trouble", message: trouble })
    this.#cutOff = new CutOff(this.#around, this.holder)
    this.#beats = setInterval(() => {
      this.#beat()
      this.holder.announceDue()
      this.#handOverDead()
      this.#outOfReach.look()
    }, beatMillis)
    void this.holder.verify([...this.holder.table], true)
    while (!signal.aborted) {
      await this.holder.renew().catch((cause: unknown) => {
        this.#options.say({ _tag: "Trouble", message: `renew: ${String(cause)}` })
      })
      const wait = Math.min(500, this.#options.times.renewMillis / 4)
      await delay(wait, undefined, { signal }).catch(() => undefined)
      // No event tells that a default route is another one.
      if (performance.now() - this.#lookedAt >= lookAgainMillis) {
        this.#looking ??= setTimeout(() => this.#lookNow(), 0)
      }
    }
  }

  #adopt(remembered: ReadonlyMap<string, { claim: string; term: number; taken: boolean }>): void {
    const { lifetimeMillis } = this.#options.times
    const now = performance.now()
    for (const link of this.#kernel.links()) {
      for (const { address, marked, validSeconds } of link.addresses) {
        if (!marked) continue
        const { claim, term, taken } = remembered.get(address) ?? {
          claim: claimKeyOf(address),
          term: 0,
          taken: false
        }
        const held = newHeld({ claim, address, index: link.index, term, taken }, now)
        held.renewedAt = Math.min(now, now + validSeconds * 1000 - lifetimeMillis)
        held.doubted = true
        held.announcements = this.#options.times.announceAgainMillis.length + 1
        this.holder.table.add(held)
        // On a link that cannot be asked, or not any more: handed over like what is on one without carrier.
        if (!this.#lans.has(link.index) && !this.#deadSince.has(link.index))
          this.#deadSince.set(link.index, now)
      }
    }
    const addresses = Array.from(this.holder.table, ({ address }) => address)
    if (addresses.length > 0) this.#options.say({ _tag: "Adopted", addresses })
  }

  /** The slice, as NATS tells it. The message's trace goes on in what it brings about. */
  tell(message: JsMsg | undefined, change: (slice: Slice) => void): void {
    const { isWhole } = this.slice
    this.#message = message
    try {
      change(this.slice)
    } finally {
      this.#message = undefined
    }
    if (isWhole || !this.slice.isWhole) return
    // What was found in the kernel, and has not been assigned as far as this process remembers, is not in the slice.
    for (const { claim } of this.holder.table) {
      if (this.slice.find(claim) === undefined) this.#options.changed(claim, undefined, undefined)
    }
  }

  /** @throws BindFailure */
  async bind(assignment: Assignment): Promise<Bound | undefined> {
    this.standbys.delete(assignment.claim)
    this.#outOfReach.stays(this.holder.table.get(assignment.claim))
    return await this.#binder.bind(assignment)
  }

  async standBy(assignment: Assignment): Promise<void> {
    const held = this.holder.table.get(assignment.claim)
    if (held !== undefined) {
      // Taken by the very assignment that makes us the standby: the word that makes us the holder is on its way.
      if (held.taken && held.term >= assignment.term) return
      const reason = `${assignment.holder ?? "another node"} is to hold it`
      if (await this.#outOfReach.keeps(held, assignment.holder, reason)) return
      await this.#release(held, reason)
    }
    this.standbys.set(assignment)
  }

  async release(claim: string, reason: string): Promise<string | undefined> {
    this.standbys.delete(claim)
    const held = this.holder.table.get(claim)
    if (held === undefined) return undefined
    if (await this.#outOfReach.keeps(held, this.slice.movedTo(claim), reason)) return undefined
    await this.#release(held, reason)
    return held.address
  }

  async #release(held: Held, reason: string, farewell = true): Promise<void> {
    if (!this.holder.table.has(held)) return
    const { claim, address, index, term } = held
    await this.holder.drop([held], farewell)
    this.#around.report({ claim, address, index, term, what: "released", reason })
  }

  /**
   * The end of this process: the node's addresses stay, unless it is being drained and somebody is there to give them
   * away. What NATS does not hear of all the same is the standbys': no farewell keeps them from taking what is silent.
   */
  async leave(settled: () => Promise<void>): Promise<void> {
    this.#stop.abort()
    this.#cutOff?.close()
    if (this.slice.draining && this.#around.inContact()) {
      for (const held of [...this.holder.table]) await this.#release(held, "the node is drained", false)
      await settled()
    } else await this.holder.leaveFor(this.#options.times.stoppedLifetimeMillis)
    clearInterval(this.#beats)
    this.#remember()
    this.#file.flush()
    clearTimeout(this.#looking)
    clearTimeout(this.#puttingBack)
    for (const lan of this.#lans.values()) lan.close()
    this.#kernel.close()
    this.#poller.close()
  }

  #beat(): number {
    const now = performance.now()
    const wall = Date.now()
    // A clock that is set ahead looks like a sleep: then the network is asked once for nothing.
    const gap = Math.max(now - this.#beatAt, wall - this.#beatAtWall)
    this.#beatAt = now
    this.#beatAtWall = wall
    if (gap < this.#options.times.stallMillis) return this.#stalls
    this.#stalls++
    this.#options.say({ _tag: "Stalled", millis: Math.round(gap) })
    void this.holder.verify(this.holder.doubt())
    return this.#stalls
  }

  #remember(): void {
    this.#file.save(() => ({
      assignments: this.slice.all,
      held: Array.from(this.holder.table, ({ claim, address, term, taken }) => ({
        claim,
        address,
        term,
        taken
      })),
      nodes: Object.fromEntries(this.peers.entries())
    }))
  }

  #onKernel(event: KernelEvent): void {
    if (event.what === "address-removed" && event.marked) {
      const held = this.holder.table.at(event.address)
      if (held !== undefined && held.index === event.index) this.#removed.push(held)
      if (this.#removed.length > 0) {
        this.#puttingBack ??= setTimeout(() => {
          this.#puttingBack = undefined
          this.holder.removed(this.#removed.splice(0))
        }, putBackMillis)
      }
      return
    }
    if (event.what === "address-added" && event.marked) return
    // It comes last of what the kernel told in one moment.
    if (event.what === "overrun") this.#overrun = true
    this.#looking ??= setTimeout(() => this.#lookNow(), settleMillis)
  }

  #lookNow(): void {
    this.#looking = undefined
    const overrun = this.#overrun
    this.#overrun = false
    this.#look(overrun)
  }

  /** Looks at the node's links: new ones, those that are gone, those that lost or found what is at their other end. */
  #look(overrun = false): void {
    this.#lookedAt = performance.now()
    const all = this.#kernel.links()
    const before = this.#links
    this.#links = usableLinks(all, this.#options.choice)
    this.#ownMacs = new Set(all.map(({ mac }) => mac))
    const now = performance.now()
    for (const link of this.#links) {
      const lan = this.#lans.get(link.index)
      const isAnother = lan !== undefined && (lan.mac !== link.mac || lan.name !== link.name)
      if (lan === undefined || isAnother) this.#open(link)
      const had = before.find(({ index }) => index === link.index)?.carrier ?? false
      if (had !== link.carrier && before.length > 0) {
        this.#options.say({ _tag: "Carrier", link: link.name, carrier: link.carrier })
      }
      if (!link.carrier) {
        if (!this.#deadSince.has(link.index)) this.#deadSince.set(link.index, now)
      } else if (this.#deadSince.delete(link.index) || !had || isAnother) this.#cameBack(link.index)
    }
    for (const { index, addresses } of all) {
      const lan = this.#lans.get(index)
      if (lan === undefined) continue
      lan.own = addresses.filter(({ marked }) => !marked).map(({ address, prefix }) => `${address}/${prefix}`)
    }
    for (const [index, lan] of this.#lans) {
      if (this.#links.some((link) => link.index === index)) continue
      lan.close()
      this.#lans.delete(index)
      if (!this.#deadSince.has(index)) this.#deadSince.set(index, now)
    }
    if (overrun) {
      const present = new Set(
        all.flatMap(({ index, addresses }) => addresses.map(({ address }) => `${index} ${address}`))
      )
      this.holder.removed(
        [...this.holder.table].filter((held) => !present.has(`${held.index} ${held.address}`))
      )
    }
    if (JSON.stringify(before) !== JSON.stringify(this.#links)) {
      this.peers.set(this.#options.node, this.#links)
      this.#options.linksChanged()
      // What this node stands by for may be on another link from now on, and what waited for one may have it.
      for (const { claim, role } of this.slice.all) {
        if (role === "standby" || this.holder.table.get(claim) === undefined) this.#options.wake(claim)
      }
    }
  }

  /** From now on the link is listened to; one that vanishes in this moment is looked at again. */
  #open(link: NodeLink): void {
    const { index } = link
    this.#lans.get(index)?.close()
    this.#lans.delete(index)
    try {
      const lan = new Lan({
        index,
        link,
        poller: this.#poller,
        hear: (heard, on) => this.#hear(heard, on),
        isOwn: (mac) => this.#ownMacs.has(mac)
      })
      this.#lans.set(index, lan)
    } catch (cause) {
      this.#options.say({ _tag: "Trouble", message: `${link.name}: ${String(cause)}` })
      this.#looking ??= setTimeout(() => this.#lookNow(), 1_000)
    }
  }

  #hear: ConstructorParameters<typeof Lan>[0]["hear"] = (heard, lan) => {
    this.holder.hear(heard, lan)
    this.standbys.hear(heard)
    if (heard.signature?.released === true) {
      const waiting = this.slice.at(heard.address)
      if (waiting?.role === "holder" && this.holder.table.at(heard.address) === undefined) {
        this.#options.wake(waiting.claim)
      }
    }
  }

  /** A link is there, or has a carrier again: what it held is verified, and what waited for a link is tried. */
  #cameBack(index: number): void {
    const here = [...this.holder.table].filter((held) => held.index === index)
    if (here.length > 0) void this.holder.verify(here)
    for (const { claim } of this.slice.all) {
      if (this.holder.table.get(claim) === undefined) this.#options.wake(claim)
    }
  }

  /** A link that has been without carrier for a while hands its addresses over. */
  #handOverDead(): void {
    const now = performance.now()
    if (this.#deadSince.size === 0) return
    // Again and again: what was asked for while there was a carrier may be put there later.
    for (const held of [...this.holder.table]) {
      const since = this.#deadSince.get(held.index)
      if (since === undefined || now - since < this.#options.times.apartMillis) continue
      void this.#release(held, "its link has no carrier")
    }
  }
}
