import type { FleetState } from "./state.ts"

export interface MembershipOptions {
  readonly state: FleetState
  /** How long a node's key lives. */
  readonly lifetimeMillis: number
  /** From the loss of a node until nothing of it is left on the network. */
  readonly abandonMillis: number
}

interface Member {
  /** Its key is there. */
  isFresh: boolean
  /** The stream's sequence when it went; 0 when it was not there from the beginning. */
  goneAt: number
  /** When it was found to be lost, by the monotonic clock. */
  lostAt: number | undefined
}

/** With nodes that put their keys every second, silence for so long means that NATS stands still. */
const silenceMillis = 3_000
/** A look that comes later than this tells that this process stood still. */
const lateMillis = 2_000

/**
 * Says which nodes are lost, and which are so for good. Both need that NATS was followed without interruption all the
 * time: expired keys tell nothing while nobody can put one. Times are those of a monotonic clock, in milliseconds.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #members = new Map<string, Member>()
  #followedSince: number | undefined
  #lastPut: { at: number; sequence: number } = { at: 0, sequence: 0 }
  #lastLook = 0

  constructor(options: MembershipOptions) {
    this.#options = options
  }

  /** The stream is read from its beginning: every node has yet to be seen. */
  begin(): void {
    this.#followedSince = undefined
    this.#lastPut = { at: 0, sequence: 0 }
    for (const member of this.#members.values()) {
      member.isFresh = false
      member.goneAt = 0
    }
  }

  /** It has been read, and is followed from now on. */
  whole(now: number): void {
    this.#followedSince = now
    this.#lastLook = now
  }

  put(node: string, sequence: number, now: number): void {
    this.#lastPut = { at: now, sequence }
    const member = this.#of(node)
    // Once one node is back after all were gone, the others have their time as well.
    if (this.#areAllGone()) this.#interrupt(now)
    member.isFresh = true
    member.lostAt = undefined
  }

  gone(node: string, sequence: number): void {
    const member = this.#of(node)
    member.isFresh = false
    member.goneAt = sequence
  }

  /** For so long the nodes have been followed without interruption. */
  followedMillis(now: number): number {
    return this.#followedSince === undefined ? 0 : now - this.#followedSince
  }

  /** To be called a few times a second. */
  look(now: number): void {
    if (this.#followedSince === undefined) return
    const { state, lifetimeMillis, abandonMillis } = this.#options
    for (const [name, node] of state.nodes)
      if (!this.#members.has(name) && node.state === "alive") this.#of(name)
    const isLate = now - this.#lastLook > lateMillis
    this.#lastLook = now
    if (isLate || this.#areAllGone() || this.#isSilent(now)) this.#interrupt(now)
    const followed = this.followedMillis(now)
    if (followed < lifetimeMillis) return
    for (const [name, member] of this.#members) {
      if (member.isFresh) continue
      if (member.lostAt === undefined) {
        // Others were heard after it had gone: it is not NATS that is away.
        if (this.#lastPut.sequence <= member.goneAt) continue
        member.lostAt = now
        state.lose(name)
      } else if (Math.min(now - member.lostAt, followed) >= abandonMillis) {
        this.#members.delete(name)
        state.abandon(name)
      }
    }
  }

  #interrupt(now: number): void {
    if (this.#followedSince !== undefined) this.#followedSince = now
  }

  #areAllGone(): boolean {
    if (this.#members.size === 0) return false
    for (const { isFresh } of this.#members.values()) if (isFresh) return false
    return true
  }

  #isSilent(now: number): boolean {
    return this.#members.size > 0 && now - this.#lastPut.at > silenceMillis
  }

  #of(name: string): Member {
    let member = this.#members.get(name)
    if (member === undefined) {
      member = { isFresh: false, goneAt: 0, lostAt: undefined }
      this.#members.set(name, member)
    }
    return member
  }
}
