import { expect } from "@effect/vitest"
import { Node } from "../../../functions/domain/kinds.ts"
import type { NodeLab } from "../nodeLab.ts"
import { until } from "../until.ts"
import {
  assignmentOf,
  holderOf,
  inConflict,
  isDrained,
  macOf,
  onLinks,
  saidBy,
  soonSeconds
} from "./ground.ts"

interface OnLink {
  readonly local: string
  readonly prefixlen: number
  readonly valid_life_time: number
  readonly preferred_life_time: number
  readonly protocol?: string
}

/** As `ip addr` shows them. */
export const addressesOf = async (
  lab: NodeLab,
  node: string,
  link = "eth0"
): Promise<ReadonlyMap<string, OnLink>> => {
  const [shown] = JSON.parse(await lab.lan.run(node, "ip", "-j", "addr", "show", "dev", link))
  return new Map((shown.addr_info as ReadonlyArray<OnLink>).map((one) => [one.local, one]))
}

const ip = (lab: NodeLab, node: string, command: string) => lab.lan.run(node, "ip", ...command.split(" "))

const whole = (address: string) => `${address}/${address.includes(":") ? 128 : 32}`

/** Waits until the holder is heard to announce each, and answers with how long that took since the mark. */
const announced = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  holder: string,
  mark: number
): Promise<number> => {
  const mac = macOf(lab, holder)
  let latest = mark
  for (const address of addresses) {
    const frame = await until(
      `${holder} to announce ${address}`,
      async () => (await lab.lan.observer.announcementsOf(address, mark)).find((one) => one.mac === mac),
      { seconds: soonSeconds }
    )
    latest = Math.max(latest, frame.at)
  }
  return latest - mark
}

/** Somebody takes an address off by hand: it is back, and announced. Answers with the milliseconds that took. */
export const takenOffByHand = async (lab: NodeLab, address: string): Promise<number> => {
  const holder = await holderOf(lab, address)
  const mark = lab.lan.observer.mark()
  await ip(lab, holder, `addr del ${whole(address)} dev eth0`)
  const millis = await announced(lab, [address], holder, mark)
  await lab.settled([address], { seconds: soonSeconds })
  expect(await holderOf(lab, address)).toBe(holder)
  return millis
}

/** RFC 5227 §2.1.1: a machine that is probed for its own address, while it probes for that itself, gives it up. */
export const notProbed = async (lab: NodeLab, address: string): Promise<void> => {
  const { observer } = lab.lan
  const standby = await until(`somebody to stand by for ${address}`, () => lab.standbyOf(address))
  const [own, asking] = [await holderOf(lab, address), standby].map((node) => lab.lan.addressesOf(node).lan)
  const mark = observer.mark()
  const questions = async () =>
    (await observer.framesOf(asking!.ipv4, mark)).filter(
      ({ mac, what }) => mac === asking!.mac && what === "says"
    )
  await until(`${standby} to have asked a few times`, async () => (await questions()).length >= 8)
  const probes = (await observer.framesOf(own!.ipv4, mark)).filter(({ what }) => what === "probes")
  expect(probes).toEqual([])
}

/** A link goes down and up again, as when a network configuration is applied, which the node's own addresses survive. */
export const linkFlaps = async (lab: NodeLab, addresses: ReadonlyArray<string>): Promise<number> => {
  const holder = await holderOf(lab, addresses[0]!)
  const { ipv4, ipv6 } = lab.lan.addressesOf(holder).lan
  await ip(lab, holder, "link set eth0 down")
  await ip(lab, holder, "addr flush dev eth0 scope global")
  await ip(lab, holder, "link set eth0 up")
  const mark = lab.lan.observer.mark()
  await ip(lab, holder, `addr add ${ipv4}/16 dev eth0`)
  await ip(lab, holder, `addr add ${ipv6}/64 dev eth0 nodad`)
  const millis = await announced(lab, addresses, holder, mark)
  await lab.settled(addresses, { seconds: soonSeconds })
  for (const address of addresses) expect(await holderOf(lab, address)).toBe(holder)
  await ip(lab, holder, "route replace default via 10.77.0.1 dev eth0")
  await ip(lab, holder, "route replace default via fd77::1 dev eth0")
  return millis
}

/** What the kernel is left with: of SIGTERM five minutes, of SIGKILL no more than it had. */
export const lifetimes = async (lab: NodeLab, address: string): Promise<void> => {
  const holder = await holderOf(lab, address)
  const left = async () => (await addressesOf(lab, holder)).get(address)!
  const { protocol, ...running } = await left()
  expect(running).toMatchObject({ prefixlen: address.includes(":") ? 128 : 32, preferred_life_time: 0 })
  expect(running.valid_life_time * 1_000).toBeLessThanOrEqual(lab.lifetimeMillis)
  await lab.killNode(holder, "SIGTERM")
  expect((await left()).valid_life_time).toBeGreaterThan(280)
  lab.startNode(holder)
  await lab.ready()
  await until("it to have its usual lifetime", async () => (await left()).valid_life_time < 100)
  await lab.killNode(holder, "SIGKILL")
  expect((await left()).valid_life_time * 1_000).toBeLessThanOrEqual(lab.lifetimeMillis)
  await lab.movedOff(holder, [address])
  await lab.held([address], { seconds: soonSeconds })
  await lab.mendAll()
  await lab.settled([address])
}

/** A cordoned node hands over what it has when its runtime is stopped; the other one takes it when it has gone. */
export const drained = async (lab: NodeLab, addresses: ReadonlyArray<string>): Promise<void> => {
  const { cluster } = lab.stack
  const holder = await holderOf(lab, addresses[0]!)
  const ref = { namespace: "", name: holder }
  await cluster.create(Node, { metadata: { name: holder }, spec: { unschedulable: true } })
  try {
    await until(`${holder} to be told`, () => isDrained(lab, holder))
    // To be cordoned moves nothing.
    for (const address of addresses) expect(await onLinks(lab, address)).toHaveLength(1)
    await lab.killNode(holder, "SIGTERM")
    expect([...(await addressesOf(lab, holder)).keys()]).not.toContain(addresses[0])
    await lab.settled(addresses, { seconds: 2 * soonSeconds })
    for (const address of addresses) expect(await onLinks(lab, address)).not.toContain(holder)
  } finally {
    await cluster.delete(Node, ref)
  }
  await lab.mendAll()
  await until(`${holder} not to be drained`, async () => !(await isDrained(lab, holder)))
  await lab.settled(addresses)
}

/** Nobody could give away what a cordoned node has when its runtime is stopped: it stays there until its host goes. */
export const drainedWithoutNats = async (lab: NodeLab, addresses: ReadonlyArray<string>): Promise<void> => {
  const { cluster } = lab.stack
  const holder = await holderOf(lab, addresses[0]!)
  await cluster.create(Node, { metadata: { name: holder }, spec: { unschedulable: true } })
  try {
    await until(`${holder} to be told`, () => isDrained(lab, holder))
    await lab.watched(addresses)
    const seen = saidBy(lab, holder, /NATS: /).length
    await lab.natsDies()
    await until(`${holder} to have lost NATS`, () => saidBy(lab, holder, /NATS: /).length > seen)
    await lab.killNode(holder, "SIGTERM")
    await lab.held(addresses, { seconds: soonSeconds })
    expect(await onLinks(lab, addresses[0]!)).toEqual([holder])
    await lab.powerCut(holder)
    await lab.held(addresses, { seconds: soonSeconds })
  } finally {
    await lab.mendAll()
    await cluster.delete(Node, { namespace: "", name: holder })
  }
  await until(`${holder} not to be drained`, async () => !(await isDrained(lab, holder)))
  await lab.settled(addresses)
}

/** What a user has put on a node's link stays, whatever becomes of our addresses there. */
export const unmarkedStays = async (lab: NodeLab, node: string, own: string, ours: string): Promise<void> => {
  await lab.lan.own(node, own)
  await lab.claim([ours], { nodeName: node })
  await lab.settled([ours])
  const theirs = async () => (await addressesOf(lab, node)).get(own)
  const before = await theirs()
  expect(before).toBeDefined()
  await lab.free([ours])
  await lab.gone([ours])
  expect(await theirs()).toEqual(before)
  await lab.killNode(node, "SIGTERM")
  expect(await theirs()).toEqual(before)
  lab.startNode(node)
  await lab.ready()
  expect(await theirs()).toEqual(before)
  await lab.lan.disown(node, own)
}

/** A user has put the very address on a node's link by hand that is then given to that node: it is not made ours. */
export const unmarkedTwin = async (lab: NodeLab, node: string, address: string): Promise<void> => {
  await lab.lan.own(node, address)
  const before = (await addressesOf(lab, node)).get(address)
  await lab.claim([address], { nodeName: node })
  await until(`${node} to have tried`, async () => (lab.runtimes.get(node)?.log() ?? "").includes(address))
  expect((await addressesOf(lab, node)).get(address)).toEqual(before)
  await lab.free([address])
  await until(`${node} to be told`, async () => (await assignmentOf(lab, node, address)) === undefined)
  expect((await addressesOf(lab, node)).get(address)).toEqual(before)
  await lab.lan.disown(node, address)
}

/** IPv6, from the claim to the conflict. */
export const sixth = async (lab: NodeLab, address: string): Promise<void> => {
  const mark = lab.lan.observer.mark()
  await lab.claim([address])
  await lab.settled([address])
  const holder = await holderOf(lab, address)
  await announced(lab, [address], holder, mark)
  await lab.watched([address])
  await lab.powerCut(holder)
  await lab.held([address], { seconds: soonSeconds })
  await lab.mendAll()
  await lab.settled([address])
  await lab.lan.own("stranger", address)
  await lab.lan.announceByStranger(address)
  await until("no node to have it", async () => (await onLinks(lab, address)).length === 0, {
    seconds: soonSeconds
  })
  await inConflict(lab, address, macOf(lab, "stranger"))
  await lab.lan.disown("stranger", address)
}
