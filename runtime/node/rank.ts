/** One of two nodes of ours that hold the same address at once. */
export interface Claimant {
  /** Of the placement that it holds the address by. */
  readonly term: number
  /** It took the address because the holder was silent. */
  readonly taken: boolean
  readonly mac: string
}

/**
 * Whether `one` keeps the address against `other`. The newer placement is right; of equals whoever was assigned stays
 * and whoever took yields; of equals still, the lower MAC stays. Both sides come to the same result.
 */
export const stays = (one: Claimant, other: Claimant): boolean => {
  if (one.term !== other.term) return one.term > other.term
  if (one.taken !== other.taken) return !one.taken
  return one.mac < other.mac
}
