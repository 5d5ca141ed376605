import type { FleetView, MergePatch } from "#runtime"
import { type ClaimState, claimStateOf, timeOf } from "../domain/claim-state.ts"
import { withJudgement } from "../domain/conditions.ts"
import type { IpClaim } from "../domain/kinds.ts"
import type { Settings } from "../domain/settings.ts"

/** A claim whose status says something else than the nodes do. */
export interface Change {
  readonly claim: IpClaim
  readonly state: ClaimState
  readonly patch: MergePatch
  /** It is on another node than the status said. */
  readonly isMoved: boolean
  /** A foreign machine answers, and it is not known yet, or it is another one. */
  readonly isDisputed: boolean
}

const fields = ["phase", "node", "link", "mac", "boundAt", "retryAt"] as const

/** What is to be written into the claim's status; `undefined` when it says all of it already. */
export const changeOf = (
  claim: IpClaim,
  fleet: FleetView,
  settings: Settings,
  now: number
): Change | undefined => {
  const state = claimStateOf(claim, fleet, settings, now)
  if (state === undefined) return undefined
  const { status = {} } = claim
  const present = status.conditions ?? []
  const judgement = {
    type: "Bound",
    status: state.phase === "Bound" ? "True" : "False",
    reason: state.reason,
    message: state.message
  } as const
  const conditions = withJudgement(present, judgement, timeOf(now))
  const differs = fields.filter((field) => status[field] !== state[field])
  if (differs.length === 0 && conditions === present) return undefined
  const said = present.find(({ type }) => type === "Bound")
  return {
    claim,
    state,
    patch: {
      ...Object.fromEntries(differs.map((field) => [field, state[field] ?? null])),
      ...(conditions === present ? {} : { conditions })
    },
    isMoved: state.phase === "Bound" && status.node !== state.node,
    isDisputed: state.phase === "Conflict" && (status.phase !== "Conflict" || said?.message !== state.message)
  }
}

const shown = 3

export const describeOne = ({ claim, state }: Change): string =>
  `${claim.metadata.name} is ${state.phase}: ${state.message}`

/** The changes as a sentence. */
export const describe = (changes: ReadonlyArray<Change>): string => {
  const said = changes.slice(0, shown).map(describeOne)
  const rest = changes.length - said.length
  return [...said, ...(rest > 0 ? [`and ${rest} more claims`] : [])].join("; ")
}
