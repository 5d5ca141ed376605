import type { NodeTimes } from "./times.ts"

/** What came of asking a holder once: its node's own address, and one address that it holds. */
export interface Round {
  /** `undefined`: there was nothing to ask for. */
  readonly node: boolean | undefined
  readonly claim: boolean | undefined
  /** This process looked at the answers later than it should have: it may not have been awake to hear them. */
  readonly late: boolean
}

/** How often in a row the holder was silent. */
export interface Silence {
  readonly claim: number
  readonly node: number
}

export const notSilent: Silence = { claim: 0, node: 0 }

/**
 * - `fine`: ask again after `watchMillis`.
 * - `doubtful`: ask again at once.
 * - `lost`: whatever nobody answers for is to be taken over.
 */
export type Verdict = "fine" | "doubtful" | "lost"

/**
 * The rule of failover. A holder is lost when what it holds is silent several times in a row; a node that itself
 * still answers is given more time, since what it holds may be on its way to another. A round of which we cannot know
 * that we heard it counts for nothing, and what was counted before does not either.
 */
export const judge = (
  before: Silence,
  { node, claim, late }: Round,
  times: Pick<NodeTimes, "silentProbes" | "silentClaimProbes">
): { readonly silence: Silence; readonly verdict: Verdict } => {
  const asked = claim ?? node
  if (late || asked === undefined || asked) return { silence: notSilent, verdict: "fine" }
  const silence = { claim: before.claim + 1, node: node === true ? 0 : before.node + 1 }
  const isLost =
    silence.claim >= times.silentClaimProbes ||
    (silence.claim >= times.silentProbes && silence.node >= times.silentProbes)
  return { silence, verdict: isLost ? "lost" : "doubtful" }
}
