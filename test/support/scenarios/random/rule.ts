import type { Side } from "../../lan.ts"

/** Who was heard to answer, in one moment, on one side of the LAN. */
export interface Look {
  readonly at: number
  readonly side: Side
  /** Address → hosts that answered; not who answers for everything. */
  readonly answers: ReadonlyMap<string, ReadonlyArray<string>>
}

/** `side address` → since when more than one host has answered for it, without interruption */
export type Doubles = ReadonlyMap<string, { readonly since: number; readonly hosts: ReadonlyArray<string> }>

export const noDoubles: Doubles = new Map()

/**
 * The rule of what may be seen in any moment, whatever is broken: on each side of the LAN at most one host answers for
 * an address. Two may do so for a while after something has changed, in which they have not heard of each other, or the
 * one that is wrong cannot act and the kernel has yet to drop its address.
 */
export const judge = (
  before: Doubles,
  { at, side, answers }: Look,
  graceMillis: number
): { readonly doubles: Doubles; readonly complaints: ReadonlyArray<string> } => {
  const doubles = new Map(before)
  const complaints: Array<string> = []
  for (const [address, hosts] of answers) {
    const key = `${side} ${address}`
    if (hosts.length < 2) {
      doubles.delete(key)
      continue
    }
    const since = before.get(key)?.since ?? at
    doubles.set(key, { since, hosts })
    if (at - since > graceMillis) {
      const millis = Math.round(at - since)
      complaints.push(`${address} on side ${side}: answered by ${hosts.join(" and ")} for ${millis} ms`)
    }
  }
  return { doubles, complaints }
}
