import type { FleetView, MergePatch, New } from "#runtime"
import { timeOf } from "../domain/claim-state.ts"
import { withJudgement } from "../domain/conditions.ts"
import type { IpNode } from "../domain/kinds.ts"
import { hasSpoken, nodeStateOf } from "../domain/node-state.ts"

/** What is to be written of a node. */
export interface Change {
  readonly status: MergePatch
  readonly told: string
}

/** Of those that we made one can say so; whoever deletes one of a node that lives gets it again. */
export const newNode = (name: string): New<IpNode> => ({
  metadata: { name, labels: { "app.kubernetes.io/managed-by": "extip" } }
})

/** What the node's IpNode is to say; `undefined` when it says so, or there is none and the node has not spoken. */
export const changeOf = (
  name: string,
  present: IpNode | undefined,
  fleet: FleetView,
  now: number
): Change | undefined => {
  if (present === undefined && !hasSpoken(fleet.nodes.get(name))) return undefined
  const { status = {} } = present ?? {}
  const state = nodeStateOf(name, status, fleet)
  if (state === undefined) return undefined
  const { ready, addresses, link, macs, reason, message } = state
  const before = status.conditions ?? []
  const judgement = { type: "Ready", status: ready ? "True" : "False", reason, message } as const
  const conditions = withJudgement(before, judgement, timeOf(now))
  const isSame =
    status.ready === ready &&
    status.addresses === addresses &&
    status.link === link &&
    status.macs?.join() === macs.join() &&
    conditions === before
  if (isSame) return undefined
  const since = status.ready === ready ? (status.since ?? timeOf(now)) : timeOf(now)
  return {
    status: {
      ready,
      addresses,
      ...(link === undefined ? {} : { link }),
      macs,
      since,
      conditions: conditions.filter(({ type }) => type === "Ready")
    },
    told: `${ready ? "ready" : "not ready"}, ${addresses} addresses${link === undefined ? "" : ` on ${link}`}`
  }
}
