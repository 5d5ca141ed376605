import { expect } from "@effect/vitest"
import type { NodeLab } from "../nodeLab.ts"
import { stays } from "../until.ts"
import { holderOf, onLinks, saidBy, soonSeconds } from "./ground.ts"

const after = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

/**
 * A standby is cut off from NATS; the address is freed, and given to a third node. The standby has heard the farewell,
 * and takes nothing, though its old holder is silent from then on; nor when that is lost.
 */
export const standbyOutOfDate = async (lab: NodeLab, address: string): Promise<void> => {
  const { lan } = lab
  const holder = await holderOf(lab, address)
  const standby = (await lab.standbyOf(address))!
  const third = lan.nodes.find((node) => node !== holder && node !== standby)!
  await lan.cut(standby, "mgmt")
  await lab.free([address])
  await lab.gone([address])
  await stays("nobody takes what was given up", async () => (await onLinks(lab, address)).length === 0, 2_000)
  await lab.claim([address], { nodeName: third })
  await lab.held([address])
  expect(await holderOf(lab, address)).toBe(third)
  await lab.powerCut(holder)
  await stays(
    `${address} on ${third} alone`,
    async () => (await onLinks(lab, address)).join() === third,
    2_500
  )
  expect(saidBy(lab, standby, new RegExp(`took .*${address}`))).toEqual([])
  await lan.mend(standby, "mgmt")
  await lab.mendAll()
  await lab.settled([address])
}

/** The same, and it has not heard the farewell: it takes nothing that the new holder answers for. */
export const standbyDeafAndOutOfDate = async (lab: NodeLab, address: string): Promise<void> => {
  const { lan } = lab
  const holder = await holderOf(lab, address)
  const standby = (await lab.standbyOf(address))!
  const third = lan.nodes.find((node) => node !== holder && node !== standby)!
  await lan.cut(standby, "mgmt")
  // Its cable is pulled for the moment of the change.
  await lan.cut(standby, "lan")
  await lab.free([address])
  await lab.gone([address])
  await lab.claim([address], { nodeName: third })
  await lab.held([address])
  await lan.mend(standby, "lan")
  await stays(
    `${address} on ${third} alone`,
    async () => (await onLinks(lab, address)).join() === third,
    3_000
  )
  expect(saidBy(lab, standby, new RegExp(`took .*${address}`))).toEqual([])
  await lan.mend(standby, "mgmt")
  await lab.settled([address])
}

/** The event loops of all nodes stand still, one after the other: nobody is taken for lost. */
export const stalls = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  millis: number
): Promise<void> => {
  const before = await lab.holders(addresses)
  const mark = lab.lan.observer.mark()
  for (const runtime of lab.runtimes.values()) {
    await runtime.stop()
    await after(millis)
    runtime.continue()
    await after(200)
  }
  // Two at once: a holder, and whoever watches it.
  const [one, other] = [...lab.runtimes.values()]
  await Promise.all([one!.stop(), other!.stop()])
  await after(millis)
  one!.continue()
  other!.continue()
  await stays(
    "every address where it was",
    async () => {
      const now = await lab.holders(addresses)
      return addresses.every((address) => now.get(address)?.join() === before.get(address)?.join())
    },
    1_500
  )
  for (const address of addresses) {
    const frames = await lab.lan.observer.framesOf(address, mark)
    const taking = frames.filter(({ what, signature }) => what === "probes" && signature?.taken === true)
    expect(taking).toEqual([])
  }
  await lab.settled(addresses)
}

/**
 * The host of the holder is paused for longer than its addresses live, and resumed. Answers with how many milliseconds
 * after that it answered last for what another node holds by then.
 */
export const hostPaused = async (lab: NodeLab, addresses: ReadonlyArray<string>): Promise<number> => {
  const { lan } = lab
  const before = await lab.holders(addresses)
  const holder = before.get(addresses[0]!)![0]!
  const lost = addresses.filter((address) => before.get(address)![0] === holder)
  await lan.observer.watch(lost, { pingEveryMillis: 0, askEveryMillis: 10 })
  await lan.pause(holder)
  await lab.held(addresses, { seconds: soonSeconds })
  await after(lab.lifetimeMillis + 1_000)
  const mark = lan.observer.mark()
  await lan.resume(holder)
  const mac = lan.addressesOf(holder).lan.mac
  await after(1_000)
  await lab.held(addresses, { seconds: soonSeconds })
  let longest = 0
  for (const address of lost) {
    const tenure = (await lan.observer.answersOf(address, mark)).find((one) => one.mac === mac)
    if (tenure !== undefined) longest = Math.max(longest, tenure.last - mark)
  }
  await lan.observer.unwatch(lost)
  // What others took is theirs.
  for (const address of lost) expect(await onLinks(lab, address)).not.toContain(holder)
  await lab.ready()
  await lab.settled(addresses)
  return longest
}
