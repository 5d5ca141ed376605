import { expect } from "@effect/vitest"
import { EndpointSlice, IpNode, Node, Service } from "../../../functions/domain/kinds.ts"
import type { Seen } from "../cluster.ts"
import type { NodeLab } from "../nodeLab.ts"
import { until } from "../until.ts"
import { assignmentOf, claimOf, holderOf, isDrained, macOf, onLinks } from "./ground.ts"

const ofCluster = (name: string) => ({ namespace: "", name })
const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

/** DESIGN says 300; what a loaded machine may make of it. */
const mostMillis = 1_000

export interface Moved {
  /** The longest time in which no node answered ARP requests, sent each 10 ms. */
  readonly silentMillis: number
  readonly pingsLost: number
}

/**
 * Does what makes addresses leave a node, and waits until they have. Break before make: no two nodes answer, and for
 * less than a second none does. Each moves once.
 */
export const moves = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  from: string,
  change: () => Promise<unknown>
): Promise<Moved> => {
  const { observer } = lab.lan
  await observer.watch(addresses, { askEveryMillis: 10, pingEveryMillis: 10 })
  const mark = observer.mark()
  await change()
  await lab.movedOff(from, addresses)
  await lab.settled(addresses)
  // What was asked last is on its way for so long at most.
  await new Promise((resolve) => setTimeout(resolve, 300))
  const moved: Moved = { ...(await measured(lab, addresses, mark)) }
  for (const address of addresses) {
    const tenures = await observer.answersOf(address, mark)
    expect(tenures.map(({ mac }) => lab.lan.hostOf(mac))).toEqual([from, await holderOf(lab, address)])
    expect(tenures[0]!.last).toBeLessThan(tenures[1]!.first)
  }
  await observer.unwatch(addresses)
  expect(moved.silentMillis).toBeLessThan(mostMillis)
  return moved
}

const measured = async (lab: NodeLab, addresses: ReadonlyArray<string>, mark: number): Promise<Moved> => {
  const { observer } = lab.lan
  const asks = [...(await observer.asksOf(addresses, mark)).values()]
  const pings = [...(await observer.pingsOf(addresses, mark)).values()]
  return {
    // While the observer itself did not run nothing was asked.
    silentMillis: Math.max(...asks.map((one) => one.longestGapMillis - one.stalledMillis)),
    pingsLost: Math.max(...pings.map(({ lost }) => lost))
  }
}

/** Those of the addresses that a node holds; at least one. */
export const heldOn = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string
): Promise<ReadonlyArray<string>> => {
  const holders = await lab.holders(addresses)
  const held = addresses.filter((address) => holders.get(address)?.join() === node)
  expect(held.length).toBeGreaterThan(0)
  return held
}

/** An administrator takes a node out of service for addresses, by its IpNode. */
export const byIpNode = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string
): Promise<Moved> => {
  const { cluster } = lab.stack
  const moved = await moves(lab, await heldOn(lab, addresses, node), node, () =>
    cluster.patch(IpNode, ofCluster(node), { spec: { unschedulable: true } })
  )
  await cluster.patch(IpNode, ofCluster(node), { spec: { unschedulable: null } })
  return moved
}

/** The label on a Kubernetes Node that keeps load balancers from it. */
export const byLabel = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string
): Promise<Moved> => {
  const { cluster } = lab.stack
  await cluster.create(Node, { metadata: { name: node } })
  try {
    const label = { metadata: { labels: { [excludeLabel]: "" } } }
    return await moves(lab, await heldOn(lab, addresses, node), node, () =>
      cluster.patch(Node, ofCluster(node), label)
    )
  } finally {
    await cluster.delete(Node, ofCluster(node))
  }
}

const slice = (service: string, node: string) => ({
  metadata: { namespace: "moves", name: service, labels: { "kubernetes.io/service-name": service } },
  addressType: "IPv4",
  endpoints: [{ addresses: ["10.1.0.1"], nodeName: node, conditions: { ready: true } }]
})

/** A Service whose traffic stays on the nodes of its endpoints, with one on that node. */
export const localService = async (lab: NodeLab, name: string, node: string): Promise<Seen> => {
  const { cluster } = lab.stack
  await cluster.namespace("moves")
  await cluster.create(EndpointSlice, slice(name, node))
  return await cluster.create(Service, {
    metadata: { namespace: "moves", name },
    spec: {
      type: "LoadBalancer",
      loadBalancerClass: "example.com/none",
      externalTrafficPolicy: "Local",
      allocateLoadBalancerNodePorts: false,
      ports: [{ port: 80 }]
    }
  })
}

/** Where its endpoints are, there is the address; the first of them go, and others come. */
export const byEndpoints = async (
  lab: NodeLab,
  address: string,
  [from, to]: readonly [string, string]
): Promise<Moved> => {
  const { cluster } = lab.stack
  const name = `local-${address.replaceAll(".", "-")}`
  const ref = { namespace: "moves", name }
  const service = await localService(lab, name, from)
  try {
    const entry = { ...ref, uid: service.metadata.uid, origin: "allocated" }
    await lab.claim([address], { services: [entry] })
    await lab.settled([address])
    expect(await onLinks(lab, address)).toEqual([from])
    // Nobody else has endpoints: there is no standby.
    expect(await lab.standbyOf(address)).toBeUndefined()
    const moved = await moves(lab, [address], from, () =>
      cluster.patch(EndpointSlice, ref, { endpoints: slice(name, to).endpoints })
    )
    expect(await onLinks(lab, address)).toEqual([to])
    return moved
  } finally {
    await cluster.delete(EndpointSlice, ref)
    await cluster.delete(Service, ref)
  }
}

/** Only a cordoned node's own stop moves what it has; what is new goes elsewhere. */
export const cordonMovesNothing = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  fresh: ReadonlyArray<string>,
  node: string
): Promise<void> => {
  const { cluster } = lab.stack
  const before = await lab.holders(addresses)
  await cluster.create(Node, { metadata: { name: node }, spec: { unschedulable: true } })
  try {
    await until(`${node} to be drained`, () => isDrained(lab, node))
    await lab.claim(fresh)
    await lab.settled([...addresses, ...fresh])
    expect(await lab.holders(addresses)).toEqual(before)
    for (const address of fresh) {
      expect(await onLinks(lab, address)).not.toEqual([node])
      expect(await assignmentOf(lab, node, address)).toBeUndefined()
      expect((await claimOf(lab, address))?.status?.mac).not.toBe(macOf(lab, node))
    }
  } finally {
    await cluster.delete(Node, ofCluster(node))
  }
}
