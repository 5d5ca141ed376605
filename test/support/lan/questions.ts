import type { Side } from "../../../infra/local/cables.ts"
import type { Signature } from "../../../runtime/node/kernel/frames.ts"

/** A frame on the LAN that says who has, or asks for, an address. */
export interface Frame {
  /** Milliseconds; of the clock that `mark()` reads. */
  readonly at: number
  /** `aa:bb:cc:dd:ee:ff` */
  readonly mac: string
  /**
   * - `answer`: to the observer, which had asked;
   * - `says`: anything else whose sender has the address, a gratuitous ARP for one;
   * - `probes`: its sender asks whether somebody has it.
   */
  readonly what: "answer" | "says" | "probes"
  readonly side: Side
  readonly signature?: Signature
}

export interface Pinged {
  readonly sent: number
  /** Not answered within a second. */
  readonly lost: number
  /** Sent less than a second ago, and not answered yet. */
  readonly open: number
  /** The longest time without an answer, from the mark (or the first ping after it) until now. */
  readonly longestGapMillis: number
  /** The longest time in which nothing was asked, because the observer itself did not run. */
  readonly stalledMillis: number
}

/** Everything below is by address. */
export type ObserverQuestions = {
  /** Who answers now. Takes as long as it waits for answers. */
  readonly ask: readonly [
    { readonly addresses: ReadonlyArray<string>; readonly side: Side; readonly waitMillis: number },
    ReadonlyArray<readonly [address: string, macs: ReadonlyArray<string>]>
  ]
  readonly frames: readonly [
    { readonly addresses: ReadonlyArray<string>; readonly since: number },
    ReadonlyArray<ReadonlyArray<Frame>>
  ]
  /** From now on, besides what is watched already; 0 milliseconds: never. */
  readonly watch: readonly [
    {
      readonly addresses: ReadonlyArray<string>
      readonly pingEveryMillis: number
      readonly askEveryMillis: number
    },
    null
  ]
  readonly unwatch: readonly [{ readonly addresses: ReadonlyArray<string> }, null]
  readonly pinged: readonly [
    { readonly by: "ping" | "ask"; readonly addresses: ReadonlyArray<string>; readonly since: number },
    ReadonlyArray<Pinged>
  ]
  /** Frames seen, and frames that the kernel dropped for lack of room, since the start. */
  readonly seen: readonly [null, { readonly frames: number; readonly lost: number }]
  /** For the test of the observer itself: it does not look at its socket for so long, which has room for so many bytes. */
  readonly sleep: readonly [{ readonly millis: number; readonly roomBytes: number }, null]
}

export type StrangerQuestions = {
  /** Says to all that it has the address. */
  readonly announce: readonly [{ readonly addresses: ReadonlyArray<string> }, null]
  /** Whether it answers for every address that is asked for, as an ARP proxy does. */
  readonly proxy: readonly [{ readonly on: boolean }, null]
}

export type ClockQuestions = {
  /** Marked addresses of this host that have a lifetime keep what they have left of it. */
  readonly stop: readonly [null, null]
  readonly start: readonly [null, null]
}
