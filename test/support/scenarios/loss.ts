import { expect } from "@effect/vitest"
import type { NodeLab } from "../nodeLab.ts"
import { stays } from "../until.ts"

/** What may be lost at once with a node's host. */
export type Together = "nothing else" | "NATS" | "the functions" | "the bridge" | "everything else of ours"

/** Kills it, and says how it is started again. */
const lose = async (lab: NodeLab, together: Together): Promise<void> => {
  if (together === "everything else of ours") await lab.everythingElseDies()
  else if (together === "NATS") await lab.natsDies()
  else if (together === "the functions") await lab.hostsDie()
  else if (together === "the bridge") await lab.bridge.kill("SIGKILL")
}

/** The host of a node is lost, with whatever else: every address is answered for by exactly one other node. */
export const hostLost = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string,
  together: Together,
  seconds = 5
): Promise<void> => {
  await lose(lab, together)
  await lab.powerCut(node)
  await lab.held(addresses, { seconds })
  await lab.mendAll()
  await lab.settled(addresses, { seconds: seconds * 6 })
}

/** A runtime is killed while its host lives: nothing moves if it is back in time, and not a ping is lost. */
export const runtimeRestarted = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string,
  signal: NodeJS.Signals
): Promise<void> => {
  const before = await lab.holders(addresses)
  const mark = lab.lan.observer.mark()
  await lab.killNode(node, signal)
  lab.startNode(node)
  await lab.ready()
  await stays(
    "every address where it was",
    async () => {
      const now = await lab.holders(addresses)
      return addresses.every((address) => now.get(address)?.join() === before.get(address)?.join())
    },
    lab.lifetimeMillis
  )
  await lab.settled(addresses)
  await lab.noPingLost(mark)
}

/** A runtime is killed and does not come back: the kernel drops its addresses, and its standbys take them. */
export const runtimeLost = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string
): Promise<void> => {
  await lab.killNode(node)
  await lab.movedOff(node, addresses, 15 + lab.lifetimeMillis / 1000)
  await lab.held(addresses, { seconds: 5 })
  await lab.mendAll()
  await lab.settled(addresses)
}

/**
 * A runtime stands still for longer than its addresses live, and goes on: it takes nothing back, whether there are
 * functions that record who has them by now or not.
 */
export const runtimeFrozen = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string,
  isRecorded = true
): Promise<void> => {
  const runtime = lab.runtimes.get(node)!
  const had = [...(await lab.holders(addresses))]
    .filter(([, on]) => on.includes(node))
    .map(([address]) => address)
  if (!isRecorded) await lab.hostsDie()
  await runtime.stop()
  let mark: number
  try {
    await lab.movedOff(node, addresses, 15 + lab.lifetimeMillis / 1000)
    await lab.held(addresses, { seconds: 5 })
    mark = lab.lan.observer.mark()
  } finally {
    runtime.continue()
  }
  await stays(
    "exactly one holder each",
    async () => {
      await lab.held(addresses, { seconds: 0 })
      return true
    },
    2_000
  )
  for (const address of had.slice(0, 50)) {
    const said = await lab.lan.observer.announcementsOf(address, mark)
    expect(said.filter(({ mac }) => lab.lan.hostOf(mac) === node)).toEqual([])
  }
  if (!isRecorded) await lab.mendAll()
  await lab.settled(addresses)
}

/** The cable of a node is pulled, which its link can see or not: its addresses go to others, and stay there when it is plugged in again. */
export const linkLost = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  node: string,
  isSeen: boolean
): Promise<void> => {
  await lab.lan.cut(node, "lan", { carrier: !isSeen })
  await lab.held(addresses, { seconds: 5 })
  await lab.lan.mend(node, "lan")
  await lab.settled(addresses)
}

/** The holder of everything and a standby of it are lost in one moment: the addresses come back on who is left. */
export const twoLost = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  seconds = 40
): Promise<void> => {
  await Promise.all([lab.powerCut("n1"), lab.powerCut("n2")])
  // No standby has what both had: it is placed anew when the kernels must have dropped it.
  await lab.held(addresses, { seconds })
  await lab.mendAll()
  await lab.settled(addresses, { seconds })
}

/** Every process is replaced, one after the other, as an update does: nothing moves, no ping is lost. */
export const rollingUpdate = async (lab: NodeLab, addresses: ReadonlyArray<string>): Promise<void> => {
  const before = await lab.holders(addresses)
  const mark = lab.lan.observer.mark()
  for (const node of lab.lan.nodes) {
    await lab.killNode(node, "SIGTERM")
    lab.startNode(node)
    await lab.ready()
  }
  await lab.replaceHosts("SIGTERM")
  await lab.ready()
  await lab.bridge.kill("SIGTERM")
  await lab.startBridge()
  await lab.ready()
  await lab.natsRestarts()
  await lab.ready()
  await lab.settled(addresses)
  expect(await lab.holders(addresses)).toEqual(before)
  await lab.noPingLost(mark)
}
