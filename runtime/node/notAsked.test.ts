import { describe, expect, it } from "@effect/vitest"
import { newHeld } from "./held.ts"
import { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { NotAsked } from "./lan.ts"
import { OutOfReach } from "./outOfReach.ts"
import { Peers } from "./peers.ts"
import { address, aroundOf, foreign, heard, lanThat, linkOf, other } from "./surroundings.fixture.ts"

describe("what cannot be asked for", () => {
  it("is no rejection that nobody handles", async () => {
    const unhandled: Array<unknown> = []
    const note = (e: unknown) => void unhandled.push(e)
    process.on("unhandledRejection", note)
    const lan = {
      ...lanThat(() => new Map()),
      ask: async () => {
        throw new NotAsked("eth0 did not take the questions")
      }
    } as unknown as Lan
    const holder = new Holder(aroundOf(lan))
    holder.table.add(newHeld({ claim: "10-0-0-1", address, index: 1, term: 3, taken: false }, 0))
    holder.hear(heard("has", foreign), lan)
    await new Promise((r) => setTimeout(r, 50))
    process.off("unhandledRejection", note)
    expect(unhandled).toEqual([])
  })
})

describe("out of reach", () => {
  it("lets go of what has been moved when the network cannot be asked", async () => {
    const heardAt = performance.now() - 5_000
    const lan = {
      ...lanThat(() => new Map()),
      heardAt: () => heardAt,
      othersHeardAt: () => performance.now(),
      askMachines: async () => {
        throw new NotAsked("eth0 did not take the questions")
      },
      askMachine: () => undefined
    } as unknown as Lan
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    const around = aroundOf(lan, peers)
    const holder = new Holder(around)
    const held = newHeld({ claim: "10-0-0-1", address, index: 1, term: 3, taken: false }, 0)
    holder.table.add(held)
    const out = new OutOfReach(around, holder, async () => undefined)
    await expect(out.keeps(held, "other", "moved")).resolves.toBe(false)
  })
})
