import { expect } from "@effect/vitest"
import { assignmentSubject, claimKeyOf } from "../../../runtime/fleet/messages.ts"
import type { NodeLab } from "../nodeLab.ts"
import { stays, until } from "../until.ts"
import {
  assignmentOf,
  heldBesideProxy,
  holderOf,
  inConflict,
  macOf,
  onLinks,
  saidBy,
  soonSeconds
} from "./ground.ts"

/** Conflicts are tried again so soon in these labs. */
export const conflictRetryMillis = 4_000

/** A stranger has it before any node: it is put on no link for a moment, the claim says so, and it is tried again. */
export const strangerFirst = async (lab: NodeLab, address: string): Promise<void> => {
  const { lan } = lab
  await lan.own("stranger", address)
  const mark = lan.observer.mark()
  await lab.claim([address])
  await inConflict(lab, address, macOf(lab, "stranger"))
  const said = await lan.observer.announcementsOf(address, mark)
  expect(said.filter(({ mac }) => lan.nodes.includes(lan.hostOf(mac) ?? ""))).toEqual([])
  expect(await onLinks(lab, address)).toEqual([])
  await lan.disown("stranger", address)
  await lab.settled([address], { seconds: soonSeconds + (2 * conflictRetryMillis) / 1000 })
}

/** A stranger takes it from its holder, and says so: it is withdrawn, and put back when the stranger has gone. */
export const strangerLater = async (lab: NodeLab, address: string): Promise<void> => {
  const { lan } = lab
  await lan.own("stranger", address)
  await lan.announceByStranger(address)
  await until("no node to have it", async () => (await onLinks(lab, address)).length === 0, {
    seconds: soonSeconds
  })
  await inConflict(lab, address, macOf(lab, "stranger"))
  expect((await lan.observer.ask([address])).get(address)).toEqual([macOf(lab, "stranger")])
  await lan.disown("stranger", address)
  await lab.settled([address], { seconds: soonSeconds + (2 * conflictRetryMillis) / 1000 })
}

/** Another node is told, by an older word, that it holds what is held: nothing moves. */
export const staleAssignment = async (lab: NodeLab, address: string): Promise<void> => {
  const before = await holderOf(lab, address)
  const other = lab.lan.nodes.find((node) => node !== before)!
  const right = (await assignmentOf(lab, before, address))!
  const claim = claimKeyOf(address)
  for (const term of [right.term - 1, right.term]) {
    const stale = { role: "holder", claim, address, term, holder: other, standby: before }
    await lab.publish(assignmentSubject(other, claim), stale)
    await stays(
      `${address} on ${before} alone`,
      async () => (await onLinks(lab, address)).join() === before,
      1_500
    )
  }
  await lab.settled([address])
}

/** Something on the LAN answers for everything: it is found out, and neither binding nor failover heed it. */
export const arpProxy = async (
  lab: NodeLab,
  bound: ReadonlyArray<string>,
  fresh: ReadonlyArray<string>
): Promise<void> => {
  const { lan } = lab
  await lan.proxyByStranger(true)
  await lab.claim(fresh)
  const all = [...bound, ...fresh]
  await heldBesideProxy(lab, all, 15)
  await lab.watched(all)
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  const lost = await holderOf(lab, fresh[0]!)
  expect(lan.nodes.flatMap((node) => saidBy(lab, node, /ARP proxy/)).length).toBeGreaterThan(0)
  await lab.powerCut(lost)
  await heldBesideProxy(lab, all, soonSeconds)
  await lan.proxyByStranger(false)
  await lab.mendAll()
  await lab.settled(all)
}

/** The frozen runtime of a holder goes on in the moment in which its standby asks whether it may take over. */
export const backWhileProbed = async (lab: NodeLab, address: string): Promise<void> => {
  const { lan } = lab
  const holder = await holderOf(lab, address)
  const standby = (await lab.standbyOf(address))!
  const mark = lan.observer.mark()
  await lab.runtimes.get(holder)!.stop()
  await until(
    `${standby} to ask for ${address}`,
    async () => {
      const frames = await lan.observer.framesOf(address, mark)
      return frames.some(({ what, signature }) => what === "probes" && signature?.taken === true)
    },
    { seconds: soonSeconds + lab.lifetimeMillis / 1000 }
  )
  lab.runtimes.get(holder)!.continue()
  await lab.held([address], { seconds: soonSeconds })
  await stays("one holder", async () => (await onLinks(lab, address)).length === 1, 1_000)
  await lab.settled([address])
}

/** A killed runtime is started so that it is back about when its standby asks. */
export const restartedWhileProbed = async (lab: NodeLab, address: string, millis = 400): Promise<void> => {
  const holder = await holderOf(lab, address)
  await lab.killNode(holder)
  const seconds = soonSeconds + lab.lifetimeMillis / 1000
  await until("its kernel to have dropped it", async () => !(await onLinks(lab, address)).includes(holder), {
    seconds
  })
  await new Promise((resolve) => setTimeout(resolve, millis))
  lab.startNode(holder)
  await lab.held([address], { seconds: soonSeconds })
  await lab.ready()
  await stays("one holder", async () => (await onLinks(lab, address)).length === 1, 1_000)
  await lab.settled([address])
}
