import { IpClaim } from "../../../functions/domain/kinds.ts"
import { assignmentSubject, claimKeyOf, drainingSubject } from "../../../runtime/fleet/messages.ts"
import type { Seen } from "../cluster.ts"
import { holdersNow } from "../lan/holders.ts"
import type { NodeLab } from "../nodeLab.ts"
import { until } from "../until.ts"

/** Documented as 1 s or 1.5 s; what a loaded machine may make of it. */
export const soonSeconds = 5

export const claimOf = (lab: NodeLab, address: string): Promise<Seen | undefined> =>
  lab.stack.cluster.get(IpClaim, { namespace: "", name: claimKeyOf(address) })

export const macOf = (lab: NodeLab, host: string): string => lab.lan.addressesOf(host).lan.mac

/** The one node that has it on its link. */
export const holderOf = async (lab: NodeLab, address: string): Promise<string> =>
  await until(`${address} to be on one link`, async () => {
    const on = (await lab.holders([address])).get(address) ?? []
    return on.length === 1 ? on[0] : undefined
  })

/** Nodes that have it on their links. */
export const onLinks = async (lab: NodeLab, address: string): Promise<ReadonlyArray<string>> =>
  (await lab.holders([address])).get(address) ?? []

/** An assignment that is on NATS. */
export const assignmentOf = async (
  lab: NodeLab,
  node: string,
  address: string
): Promise<{ role: string; term: number; holder?: string; standby?: string } | undefined> => {
  const key = await lab.stack.client.jsm.direct.getMessage("KV_assignments", {
    last_by_subj: assignmentSubject(node, claimKeyOf(address))
  })
  return key === null || key.data.length === 0 ? undefined : key.json()
}

/** The node has been told to hand over what it has when its runtime stops. */
export const isDrained = async (lab: NodeLab, node: string): Promise<boolean> => {
  const key = await lab.stack.client.jsm.direct.getMessage("KV_assignments", {
    last_by_subj: drainingSubject(node)
  })
  return key !== null && key.data.length > 0
}

/** Waits for the claim to say that the machine with this MAC has its address. */
export const inConflict = async (lab: NodeLab, address: string, mac: string): Promise<void> => {
  let claim: Seen | undefined
  await until(
    `the claim of ${address} to name ${mac}`,
    async () => {
      claim = await claimOf(lab, address)
      return claim?.status?.phase === "Conflict" && JSON.stringify(claim.status.conditions).includes(mac)
    },
    { last: () => claim?.status }
  )
}

/** One node has each, and answers for it; whatever else answers is the stranger, who answers for everything. */
export const heldBesideProxy = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  seconds: number
): Promise<void> => {
  let now: Awaited<ReturnType<typeof holdersNow>> = []
  await until(
    "each address to have one holder beside the ARP proxy",
    async () => {
      now = await holdersNow(lab.lan, addresses, "a")
      return now.every(({ onWire, inKernel }) => {
        const nodes = onWire.filter((host) => host !== "stranger")
        return nodes.length === 1 && inKernel.length === 1 && nodes[0] === inKernel[0]
      })
    },
    { seconds, last: () => now }
  )
}

/** Nothing that a runtime has said so far matches. */
export const saidBy = (lab: NodeLab, node: string, what: RegExp): ReadonlyArray<string> =>
  (lab.runtimes.get(node)?.log() ?? "").split("\n").filter((line) => what.test(line))
