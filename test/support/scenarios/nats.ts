import { cpSync, rmSync } from "node:fs"
import { setTimeout as delay } from "node:timers/promises"
import { expect } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { Presence } from "../../../runtime/fleet/messages.ts"
import { addressesOn } from "../lan.ts"
import type { NodeLab } from "../nodeLab.ts"
import { stays, until } from "../until.ts"

type Addresses = ReadonlyArray<string>

const decodePresence = Schema.decodeUnknownSync(Schema.fromJsonString(Presence))

/** A second and a half in seconds, generously; of thousands one look takes as long. */
const soon = (addresses: Addresses): number => (addresses.length > 50 ? 20 : 5)

/** Of many addresses, so many are looked at frame by frame. */
const looked = 50

/** Whoever announced one of them since then, other than the node that holds it. */
const intruders = async (
  lab: NodeLab,
  holders: ReadonlyMap<string, ReadonlyArray<string>>,
  mark: number
): Promise<ReadonlyArray<string>> => {
  const said: Array<string> = []
  for (const [address, [holder]] of [...holders].slice(0, looked)) {
    for (const { mac } of await lab.lan.observer.announcementsOf(address, mark)) {
      const host = lab.lan.hostOf(mac) ?? mac
      if (host !== holder) said.push(`${host} announced ${address}, which ${holder} has`)
    }
  }
  return said
}

/** Whatever is done: no address moves, not for a moment, and no ping is lost. */
export const nothingMoves = async (
  lab: NodeLab,
  addresses: Addresses,
  what: () => Promise<unknown>
): Promise<void> => {
  const before = await lab.holders(addresses)
  const mark = lab.lan.observer.mark()
  await what()
  await lab.settled(addresses, { seconds: 3 * soon(addresses) })
  expect(await lab.holders(addresses)).toEqual(before)
  expect(await intruders(lab, before, mark)).toEqual([])
  await lab.noPingLost(mark)
}

/** NATS is away for a while, and nothing else happens. */
export const natsAway = async (lab: NodeLab, addresses: Addresses, seconds: number): Promise<void> => {
  await nothingMoves(lab, addresses, async () => {
    await lab.natsDies()
    await delay(seconds * 1000)
    await lab.held(addresses, { seconds: 3 * soon(addresses) })
    await lab.mendAll()
    // Longer than the key of a node lives: what had expired while NATS was away is no loss either.
    await delay(6_000)
  })
}

/** A node is lost while NATS is away: its standbys have its addresses, and keep them when NATS is there again. */
export const lostWhileNatsAway = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  seconds: number
): Promise<void> => {
  await lab.natsDies()
  await delay(seconds * 1000)
  await lab.powerCut(node)
  await lab.held(addresses, { seconds: soon(addresses) })
  await delay(seconds * 1000)
  await nothingMoves(lab, addresses, () => lab.mendAll())
}

/** A node loses NATS, and nobody else does: it keeps what it has, and nobody takes what is answered for. */
export const cutOff = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  seconds: number
): Promise<void> => {
  await nothingMoves(lab, addresses, async () => {
    await lab.lan.cut(node, "mgmt")
    await stays(
      "one holder each",
      async () => {
        await lab.held(addresses, { seconds: 0 })
        await delay(500)
        return true
      },
      seconds * 1000
    )
    await lab.lan.mend(node, "mgmt")
    await lab.natsSees((nodes) => nodes.has(node))
    await stays(
      "one holder each",
      async () => {
        await lab.held(addresses, { seconds: 0 })
        return true
      },
      3_000
    )
  })
}

/** A node that NATS has not heard of for long is lost in earnest: its standbys have waited for that. */
export const cutOffThenLost = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  seconds: number
): Promise<void> => {
  await lab.lan.cut(node, "mgmt")
  await delay(seconds * 1000)
  await lab.powerCut(node)
  await lab.held(addresses, { seconds: soon(addresses) })
  await lab.settled(addresses, { seconds: 3 * soon(addresses) })
  await lab.lan.mend(node, "mgmt")
  await nothingMoves(lab, addresses, () => lab.mendAll())
}

/** A node and the runtime of a standby die at once; what the one had, the other one has not seen since. */
export const lostUnseen = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  standby: string
): Promise<void> => {
  await Promise.all([lab.powerCut(node), lab.killNode(standby)])
  lab.startNode(standby)
  await lab.held(addresses, { seconds: 40 })
  await lab.settled(addresses, { seconds: 40 })
  await nothingMoves(lab, addresses, () => lab.mendAll())
}

/** The LAN splits and heals. Each side answers for itself; then there is one holder, the one that the claim names. */
export const split = async (
  lab: NodeLab,
  addresses: Addresses,
  other: ReadonlyArray<string>,
  { nats, seconds }: { readonly nats: boolean; readonly seconds: number }
): Promise<{ readonly healedMillis: number }> => {
  const before = await lab.holders(addresses)
  const standbys = new Map<string, string | undefined>()
  for (const address of addresses) standbys.set(address, await lab.standbyOf(address))
  if (!nats) await lab.natsDies()
  await lab.lan.split(...other)
  /** The sides on which somebody is who may have the address: its holder, or its standby. */
  const sidesOf = (address: string) => {
    const nodes = [before.get(address)?.[0], standbys.get(address)].filter((node) => node !== undefined)
    return [...new Set(nodes.map((node) => lab.lan.sideOf(node)))].toSorted()
  }
  const both = async (within: number) => {
    const groups = Map.groupBy(addresses, (address) => sidesOf(address).join())
    for (const [key, group] of groups) {
      const sides = key.split(",") as ReadonlyArray<"a" | "b">
      await lab.held(group, { sides, seconds: within })
    }
  }
  await both(8)
  await stays(
    "one holder on each side",
    async () => {
      await both(0)
      return true
    },
    seconds * 1000
  )
  const healedAt = performance.now()
  await lab.lan.heal()
  await lab.held(addresses, { seconds: soon(addresses) })
  const healedMillis = Math.round(performance.now() - healedAt)
  if (!nats) {
    expect(await lab.holders(addresses)).toEqual(before)
    await nothingMoves(lab, addresses, () => lab.mendAll())
  }
  await lab.settled(addresses, { seconds: 3 * soon(addresses) })
  return { healedMillis }
}

/** A standby hears nothing, though it sends: it takes nothing, and what it has itself is taken by others. */
export const deafStandby = async (lab: NodeLab, addresses: Addresses, node: string): Promise<void> => {
  const before = await lab.holders(addresses)
  const elsewhere = addresses.filter((address) => before.get(address)?.[0] !== node)
  await lab.ping(elsewhere)
  await nothingMoves(lab, elsewhere, async () => {
    await lab.lan.deafen(node)
    await stays(
      `nothing of it on ${node}`,
      async () => {
        const there = await addressesOn(lab.lan, node)
        return elsewhere.every((address) => !there.has(address))
      },
      4_000
    )
    await lab.held(addresses, { seconds: soon(addresses) })
    await lab.lan.undeafen(node)
    await lab.held(addresses, { seconds: soon(addresses) })
  })
  await lab.settled(addresses, { seconds: 3 * soon(addresses) })
}

/** The functions die while a failover is under way, so many milliseconds after the host of a node. */
export const functionsDieInFailover = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  afterMillis: number
): Promise<void> => {
  await lab.powerCut(node)
  await delay(afterMillis)
  await lab.hostsDie()
  await lab.held(addresses, { seconds: soon(addresses) })
  await nothingMoves(lab, addresses, () => lab.mendAll())
}

/** Of two function hosts one dies while a failover is under way; the other one goes on. */
export const oneOfTwoHostsDies = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  which: 0 | 1
): Promise<void> => {
  await lab.powerCut(node)
  const [dying] = lab.hosts.splice(which, 1)
  await dying?.kill("SIGKILL")
  await lab.held(addresses, { seconds: soon(addresses) })
  await lab.settled(addresses, { seconds: 6 * soon(addresses) })
  await nothingMoves(lab, addresses, () => lab.mendAll())
}

/** Everything stops, and starts with nothing in JetStream: each address returns to its last holder. */
export const clusterStopped = async (
  lab: NodeLab,
  addresses: Addresses,
  how: "hosts powered off" | "runtimes killed",
  late: { readonly node?: string; readonly seconds?: number } = {}
): Promise<void> => {
  const before = await lab.holders(addresses)
  await lab.everythingElseDies()
  if (how === "hosts powered off") {
    for (const node of lab.lan.nodes) lab.runtimes.delete(node)
    await lab.lan.powerCut(...lab.lan.nodes)
  } else await Promise.all(lab.lan.nodes.map((node) => lab.killNode(node)))
  await lab.gone(addresses)
  rmSync(lab.stack.nats.storeDir, { recursive: true })
  if (late.node !== undefined) {
    await lab.natsRestarts()
    await lab.startBridge()
    await lab.startHost()
    for (const node of lab.lan.nodes) {
      if (node === late.node) continue
      if (lab.lan.isOn(node)) lab.startNode(node)
      else await lab.powerOn(node)
    }
    await delay((late.seconds ?? 0) * 1000)
  }
  await lab.mendAll()
  await lab.settled(addresses, { seconds: 6 * soon(addresses) })
  expect(await lab.holders(addresses)).toEqual(before)
}

/** The inventories that the nodes' keys name. */
const inventoryOf = async (lab: NodeLab, node: string): Promise<string | undefined> => {
  const key = await lab.stack.client.jsm.direct
    .getMessage("KV_nodes", { last_by_subj: `$KV.nodes.${node}` })
    .catch(() => null)
  return key === null || key.data.length === 0 ? undefined : decodePresence(key.string()).inventory
}

/** Does something to JetStream, and waits until every node has been told anew what it is to have. */
export const anewAfter = async (lab: NodeLab, what: () => Promise<unknown>): Promise<void> => {
  const nodes = [...lab.runtimes.keys()]
  const before = new Map<string, string | undefined>()
  for (const node of nodes) before.set(node, await inventoryOf(lab, node))
  await what()
  await until(
    "every slice to be whole anew",
    async () => {
      for (const node of nodes) {
        const inventory = await inventoryOf(lab, node)
        if (inventory === undefined || inventory === before.get(node)) return false
        const complete = await lab.stack.client.jsm.direct.getMessage("KV_assignments", {
          last_by_subj: `$KV.assignments.${node}._complete`
        })
        if (complete === null || !complete.string().includes(inventory)) return false
      }
      return true
    },
    { seconds: 40 }
  )
}

const allStreams = ["KUBE", "KV_kube", "KV_bridge", "KV_assignments", "KV_nodes", "NODE", "TRACE", "PARKED"]

/** Streams are deleted under everybody's hands. */
export const deleteStreams = async (
  lab: NodeLab,
  which: ReadonlyArray<string> = allStreams
): Promise<void> => {
  const { jsm } = lab.stack.client
  await Promise.all(which.map((stream) => jsm.streams.delete(stream).catch(() => undefined)))
}

/** NATS is killed, and starts with nothing. */
export const wipeStore = async (lab: NodeLab): Promise<void> => {
  await lab.natsDies()
  rmSync(lab.stack.nats.storeDir, { recursive: true })
  await lab.natsRestarts()
}

const copyOf = (lab: NodeLab): string => `${lab.stack.nats.storeDir}-copy`

/** NATS is stopped for a moment, and its store copied. */
export const copyStore = async (lab: NodeLab): Promise<void> => {
  await lab.natsDies()
  rmSync(copyOf(lab), { recursive: true, force: true })
  cpSync(lab.stack.nats.storeDir, copyOf(lab), { recursive: true })
  await lab.natsRestarts()
}

/** NATS is killed, and starts with what it had when it was copied. */
export const restoreStore = async (lab: NodeLab): Promise<void> => {
  await lab.natsDies()
  rmSync(lab.stack.nats.storeDir, { recursive: true })
  cpSync(copyOf(lab), lab.stack.nats.storeDir, { recursive: true })
  await lab.natsRestarts()
}

/** A node is lost, which nobody tells the API server; then something becomes of JetStream. What was taken stays taken. */
export const unheardFailover = async (
  lab: NodeLab,
  addresses: Addresses,
  node: string,
  what: (lab: NodeLab) => Promise<void>
): Promise<void> => {
  await lab.hostsDie()
  await lab.powerCut(node)
  await lab.held(addresses, { seconds: soon(addresses) })
  await nothingMoves(lab, addresses, async () => {
    await what(lab)
    // The one that was lost as well, which the claims still name.
    await lab.mendAll()
    await delay(2_000)
  })
}
