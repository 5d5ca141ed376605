/** Every time that the node runtime goes by, in milliseconds. All of them are differences on the monotonic clock. */
export interface NodeTimes {
  /** The kernel drops an address that was not renewed for so long: longer than a restart of the runtime takes. */
  readonly lifetimeMillis: number
  /** Addresses are renewed so often: twice within a lifetime, and a little. */
  readonly renewMillis: number
  /** The lifetime that addresses are left with when the runtime is stopped: an update of the node may take that long. */
  readonly stoppedLifetimeMillis: number
  /** The node's key in `nodes` is refreshed so often, and expires after `presenceTtlMillis`: five times that. */
  readonly presenceMillis: number
  readonly presenceTtlMillis: number
  /** Probes before an address is added, and their distance. RFC 5227 §2.1.1 has 3 in 1 to 2 s: too slow for a move. */
  readonly probes: number
  readonly probeGapMillis: number
  /** A standby asks the holder so often. */
  readonly watchMillis: number
  /** It waits so long for an answer, and asks again at once if there is none. */
  readonly answerMillis: number
  /** So many silent probes in a row are the loss of the holder; more of them while its own address still answers. */
  readonly silentProbes: number
  readonly silentClaimProbes: number
  /** What a standby takes over must have been seen answered within this time. */
  readonly seenMillis: number
  /** So each address that it stands by for is asked so often. */
  readonly slowRoundMillis: number
  /** When this process was not awake for so long, others may hold by now what it held. */
  readonly stallMillis: number
  /** Whoever answers for an address without a signature is foreign after so long: a node of ours may be busy. */
  readonly unsignedMillis: number
  /** And when NATS has been there for so long: a node whose way to it was lost as well takes its time to be heard of. */
  readonly heardOfMillis: number
  /** A link without carrier, or a peer that is not heard, for so long is cut off. */
  readonly apartMillis: number
  /**
   * Announcements are repeated after these, then every `announceMillis`. RFC 5227 §2.3: twice, 2 s apart. They come
   * before a link that is deaf for less than `apartMillis` and a look, and has lost addresses by it, would hear of nothing.
   */
  readonly announceAgainMillis: ReadonlyArray<number>
  readonly announceMillis: number
}

export const defaultTimes: NodeTimes = {
  lifetimeMillis: 10_000,
  renewMillis: 4_000,
  stoppedLifetimeMillis: 300_000,
  presenceMillis: 1_000,
  presenceTtlMillis: 5_000,
  probes: 3,
  probeGapMillis: 20,
  watchMillis: 250,
  answerMillis: 100,
  silentProbes: 4,
  silentClaimProbes: 6,
  seenMillis: 60_000,
  slowRoundMillis: 20_000,
  stallMillis: 1_000,
  unsignedMillis: 1_000,
  heardOfMillis: 12_000,
  apartMillis: 1_000,
  announceAgainMillis: [200, 500, 500, 1_500],
  announceMillis: 60_000
}

/** A lifetime that is not the default shortens or stretches what hangs on it. */
export const timesFor = (lifetimeMillis: number): NodeTimes => ({
  ...defaultTimes,
  lifetimeMillis,
  renewMillis: Math.round(lifetimeMillis * 0.4),
  heardOfMillis: lifetimeMillis + 2_000
})
