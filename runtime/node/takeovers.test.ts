import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { claimKeyOf } from "../fleet/messages.ts"
import { Holder } from "./holder.ts"
import type { Lan } from "./lan.ts"
import { Peers } from "./peers.ts"
import { Standbys } from "./standbys.ts"
import { address, aroundOf, heard, lanThat, linkOf, mine, other } from "./surroundings.fixture.ts"
import type { NodeLink, Surroundings } from "./surroundings.ts"

const claim = "10-0-0-1"
const assignment = { role: "standby" as const, claim, address, term: 3, holder: "other" }
const second = "10.1.0.1"
const onSecond = {
  role: "standby" as const,
  claim: claimKeyOf(second),
  address: second,
  term: 3,
  holder: "other"
}
const eth1 = (mac: string, carrier = true): NodeLink => ({
  ...linkOf(mac),
  index: 2,
  name: "eth1",
  subnets: ["10.1.0.9/24"],
  carrier
})
let stop = new AbortController()
afterEach(() => {
  stop.abort()
  stop = new AbortController()
})

const pair = (options: {
  links: () => ReadonlyArray<NodeLink>
  answers: (index: number) => boolean
  put?: () => number
}) => {
  const asked: Array<[number, ReadonlyArray<string>]> = []
  const taken: Array<string> = []
  let standbys: Standbys
  const lanOf = (index: number): Lan =>
    ({
      ...lanThat(() => new Map()),
      index,
      name: `eth${index - 1}`,
      askOne: (all: ReadonlyArray<string>) => {
        asked.push([index, all])
        if (options.answers(index))
          for (const one of all) standbys.hear({ ...heard("has", other), address: one })
      },
      askMachine: () => undefined,
      askMachines: async () => undefined,
      drain: () => undefined,
      othersHeardAt: () => (index === 1 ? performance.now() : Number.NEGATIVE_INFINITY)
    }) as unknown as Lan
  const peers = new Peers()
  peers.set("other", [linkOf(other), eth1(other)])
  const around = aroundOf(lanOf(1), peers)
  const mocked: Surroundings = {
    ...around,
    times: { ...around.times, watchMillis: 6, answerMillis: 3 },
    kernel: { ...around.kernel, put: async (_, all) => all.map(() => options.put?.() ?? 0) },
    links: options.links,
    lan: lanOf,
    assignmentOf: (c) => (c === claim ? assignment : onSecond),
    report: ({ what, address: one }) => {
      if (what === "taken") taken.push(one)
    }
  }
  const holder = new Holder(mocked)
  standbys = new Standbys(mocked, holder, stop.signal)
  return { standbys, asked, taken, holder }
}

describe("a standby on two links", () => {
  it("takes nothing by a link without carrier, though the node is lost on another", async () => {
    let isLost = false
    let carrier = true
    const { standbys, taken } = pair({
      links: () => [linkOf(mine), eth1(mine, carrier)],
      answers: () => !isLost
    })
    standbys.set(onSecond)
    standbys.hear({ ...heard("has", other), address: second })
    standbys.set(assignment)
    standbys.hear(heard("has", other))
    await vi.waitUntil(() => standbys.seen === 2)
    carrier = false
    isLost = true
    await vi.waitUntil(() => taken.includes(address), { timeout: 3_000 })
    // By then the other link's would have been taken with it.
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(taken).toEqual([address])
  })
  it("asks for addresses on each of two links", async () => {
    const { standbys, asked } = pair({ links: () => [linkOf(mine), eth1(mine)], answers: () => true })
    standbys.set(assignment)
    standbys.set(onSecond)
    await vi.waitUntil(() => standbys.seen === 2, { timeout: 3_000 })
    expect(new Set(asked.flatMap(([, all]) => all))).toEqual(new Set([address, second]))
  })
})

describe("a takeover that the kernel refuses", () => {
  it("is tried again", async () => {
    let answers = true
    let puts = 0
    const { standbys, taken, holder } = pair({
      links: () => [linkOf(mine)],
      answers: () => answers,
      put: () => (puts++ === 0 ? 105 : 0)
    })
    standbys.set(assignment)
    await vi.waitUntil(() => standbys.seen === 1)
    answers = false
    await vi.waitUntil(() => puts > 0)
    await vi.waitUntil(() => taken.length > 0, { timeout: 3_000 })
    expect([standbys.size, holder.table.size, taken]).toEqual([0, 1, [address]])
  })
})
