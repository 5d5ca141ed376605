import { afterEach, beforeEach, describe, expect, it, vi } from "@effect/vitest"
import { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { Peers } from "./peers.ts"
import { Standbys } from "./standbys.ts"
import { address, aroundOf, foreign, heard, lanThat, linkOf, mine, other } from "./surroundings.fixture.ts"
import type { NodeLink, Surroundings } from "./surroundings.ts"

const claim = "10-0-0-1"
const assignment = { role: "standby" as const, claim, address, term: 3, holder: "other" }

describe("an address that a node stands by for", () => {
  let stop: AbortController
  let links: ReadonlyArray<NodeLink>
  /** By the index of the link, what its holder is asked for there */
  let asked: Map<number, ReadonlyArray<string>>
  let answers: boolean
  let taken: ReadonlyArray<number>
  let standbys: Standbys

  beforeEach(() => {
    stop = new AbortController()
    links = [linkOf(mine)]
    asked = new Map()
    answers = true
    taken = []
    const lanOf = (index: number): Lan =>
      ({
        ...lanThat(() => new Map()),
        index,
        askOne: (addresses: ReadonlyArray<string>) => {
          asked.set(index, addresses)
          if (answers) standbys.hear(heard("has", other))
        },
        askMachine: () => undefined,
        drain: () => undefined,
        othersHeardAt: () => performance.now()
      }) as unknown as Lan
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    const around = aroundOf(lanOf(1), peers)
    const mocked: Surroundings = {
      ...around,
      times: { ...around.times, watchMillis: 6, answerMillis: 3 },
      links: () => links,
      lan: lanOf,
      report: ({ what, index }) => {
        if (what === "taken") taken = [...taken, index]
      }
    }
    standbys = new Standbys(mocked, new Holder(mocked), stop.signal)
    standbys.set(assignment)
  })
  afterEach(() => stop.abort())

  const isSeen = () => vi.waitUntil(() => standbys.seen === 1)

  it("is watched, and taken, on the link that it would be on by now", async () => {
    await isSeen()
    links = [{ ...linkOf(mine), name: "br0", index: 7 }]
    standbys.set(assignment)
    expect(standbys.seen).toBe(0)
    await vi.waitUntil(() => asked.get(7)?.includes(address))
    await isSeen()
    answers = false
    await vi.waitUntil(() => taken.length > 0)
    expect(taken).toEqual([7])
  })

  it("is not taken by a link on which its holder was never seen", async () => {
    await isSeen()
    // The link of the LAN is gone; the default route leads elsewhere, where nobody answers.
    answers = false
    links = [{ ...linkOf(mine), name: "eth1", index: 7 }]
    standbys.set(assignment)
    let rounds = 0
    const before = asked.get(7)
    await vi.waitUntil(() => {
      if (asked.get(7) !== before) rounds++
      asked.delete(7)
      return rounds > 12
    })
    expect(taken).toEqual([])
  })

  it("and was never seen, of a node that NATS has given up, is taken as soon as anybody else is heard", async () => {
    let asked = 0
    const quiet = {
      ...lanThat(() => new Map()),
      askOne: () => undefined,
      askMachine: () => undefined,
      askMachines: async () => {
        asked++
      },
      drain: () => undefined,
      // Hardly anybody is left on this LAN.
      othersHeardAt: () => (asked > 20 ? performance.now() : Number.NEGATIVE_INFINITY)
    } as unknown as Lan
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    vi.spyOn(peers, "absentMillis").mockReturnValue(60_000)
    const around = aroundOf(quiet, peers)
    const said: Array<string> = []
    const lone: Surroundings = {
      ...around,
      times: { ...around.times, watchMillis: 6, answerMillis: 3 },
      inContact: () => true,
      say: ({ _tag }) => said.push(_tag)
    }
    const holder = new Holder(lone)
    new Standbys(lone, holder, stop.signal).set(assignment)
    await vi.waitUntil(() => holder.table.size === 1)
    // Not each time that nothing was heard.
    expect(said.filter((tag) => tag === "Deaf")).toHaveLength(1)
  })

  it("goes on being watched where it was while no link fits", async () => {
    await isSeen()
    links = [{ ...linkOf(mine), carrier: false }]
    standbys.set(assignment)
    expect([standbys.size, standbys.seen]).toEqual([1, 1])
  })

  it("is not taken at once when its holder lets go of it, and is when another one does", async () => {
    await isSeen()
    answers = false
    const farewell = { term: 2, taken: false, released: true }
    standbys.hear(heard("asks", foreign, farewell))
    expect(standbys.seen).toBe(1)
    standbys.hear(heard("asks", other, farewell))
    expect(standbys.seen).toBe(0)
  })
})
