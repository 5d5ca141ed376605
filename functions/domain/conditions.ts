import type { Condition } from "./kinds.ts"

/** A condition, but for when it became so: whoever decides has no clock. */
export type Judgement = Omit<Condition, "lastTransitionTime">

const sameBut = (one: Condition, other: Judgement): boolean =>
  one.status === other.status &&
  one.reason === other.reason &&
  one.message === other.message &&
  one.observedGeneration === other.observedGeneration

/**
 * The conditions with this judgement among them; `now` (RFC 3339) is its time if its status is another than before.
 * The same list when it says nothing new, so that nothing needs to be written.
 */
export const withJudgement = (
  conditions: ReadonlyArray<Condition>,
  judgement: Judgement,
  now: string
): ReadonlyArray<Condition> => {
  const before = conditions.find(({ type }) => type === judgement.type)
  if (before !== undefined && sameBut(before, judgement)) return conditions
  const lastTransitionTime = before?.status === judgement.status ? before.lastTransitionTime : now
  const after: Condition = { ...judgement, lastTransitionTime }
  return before === undefined
    ? [...conditions, after]
    : conditions.map((condition) => (condition === before ? after : condition))
}
