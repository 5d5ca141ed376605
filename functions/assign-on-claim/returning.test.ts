import { describe, expect, it } from "@effect/vitest"
import { has, Story } from "./story.fixture.ts"

const one = "10.0.0.1"
const two = "10.0.0.2"

/** JetStream is empty; the claims say where they were: `one` on n1, `two` on n2. */
const afterWipe = async (): Promise<Story> => {
  const story = new Story()
  story.fleet.followedMillis = 1_000
  await story.claim(one, {}, { phase: "Bound", node: "n1" })
  await story.claim(two, {}, { phase: "Bound", node: "n2" })
  return story
}

describe("after JetStream was lost", () => {
  it("an address stays on the node that has it on its link, whatever its status says", async () => {
    const story = await afterWipe()
    story.join("n1", "n3").fleet.join("n2")
    story.fleet.inventory("n2", has(`${one}@7`, `${two}@3`))
    await story.assign(one, two)
    expect([story.holder(one), story.holder(two)]).toEqual(["n2", "n2"])
    expect(story.fleet.placements.get("10-0-0-1")?.term).toBe(8)
  })

  it("the newest placement counts where two say that they have it, then the first by name", async () => {
    const story = await afterWipe()
    for (const name of ["n3", "n1", "n2"]) story.fleet.join(name)
    story.fleet.inventory("n1", has(`${one}@4`, `${two}@6`))
    story.fleet.inventory("n2", has(`${one}@5`))
    story.fleet.inventory("n3", has(`${two}@6`))
    await story.assign(one, two)
    expect([story.holder(one), story.holder(two)]).toEqual(["n2", "n1"])
  })

  it("an address on no link returns to the node that its claim names last", async () => {
    const story = (await afterWipe()).join("n1", "n2", "n3")
    await story.claims("10.0.0.3")
    await story.assign(one, two, "10.0.0.3")
    expect([story.holder(one), story.holder(two), story.holder("10.0.0.3")]).toEqual(["n1", "n2", "n3"])
  })

  it("that node is waited for, as long as a kernel keeps addresses", async () => {
    const story = (await afterWipe()).join("n1", "n3")
    const { againMillis, why } = await story.assign(one, two)
    expect([story.holder(one), story.where(two)]).toEqual(["n1", "nowhere"])
    expect(againMillis).toBe(11_000)
    expect(why.get("10-0-0-2")).toBe("waits for n2, which may have it")
    story.fleet.followedMillis = 12_000
    await story.assign(two)
    expect(story.holder(two)).toBe("n3")
  })

  it("what that node has must have been said by it", async () => {
    const story = (await afterWipe()).join("n1", "n3")
    story.fleet.join("n2")
    await story.assign(two)
    expect(story.where(two)).toBe("nowhere")
    story.fleet.inventory("n2", [])
    await story.assign(two)
    expect(story.holder(two)).toBe("n2")
  })

  it("and by all others: one may have taken over, without the API server having heard of it", async () => {
    const story = (await afterWipe()).join("n1", "n2")
    story.fleet.join("n3")
    expect((await story.assign(one)).why.get("10-0-0-1")).toBe("waits for n3, which may have it")
    story.fleet.inventory("n3", has(`${one}@2`))
    await story.assign(one)
    expect(story.holder(one)).toBe("n3")
  })

  it("a node that may keep nothing new keeps what it had", async () => {
    const story = (await afterWipe()).join("n1", "n2")
    await story.node("n2", { unschedulable: true })
    await story.assign(two)
    expect(story.holder(two)).toBe("n2")
  })

  it("an address whose node may not have it any more goes elsewhere", async () => {
    const story = (await afterWipe()).join("n1", "n2")
    await story.ipNode("n2", { unschedulable: true })
    await story.assign(two)
    expect(story.holder(two)).toBe("n1")
  })

  it("a new claim, which may have been given a node a moment ago, waits for those that live to speak", async () => {
    const story = (await afterWipe()).join("n1")
    story.fleet.join("n3")
    await story.claims("10.0.0.3", "10.0.0.4")
    await story.assign("10.0.0.3")
    expect(story.where("10.0.0.3")).toBe("nowhere")
    story.fleet.inventory("n3", has("10.0.0.3@2"))
    await story.assign("10.0.0.3", "10.0.0.4")
    expect([story.holder("10.0.0.3"), story.holder("10.0.0.4")]).toEqual(["n3", "n1"])
  })
})

describe("after an older copy of JetStream was restored", () => {
  /** What is placed is what was right before n2 took over with term 2. */
  const restored = async (): Promise<Story> => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claim(one, {}, { phase: "Bound", node: "n1" })
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
    return story
  }

  it("an address stays on the node that has it by a newer placement", async () => {
    const story = await restored()
    story.fleet.inventory("n2", has(`${one}@5`))
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
    expect(story.fleet.placements.get("10-0-0-1")?.term).toBe(6)
  })

  it("what is placed is made newer than what is on the link, though it is the same", async () => {
    const story = await restored()
    story.fleet.inventory("n1", has(`${one}@5`))
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
    expect(story.fleet.placements.get("10-0-0-1")?.term).toBe(6)
    expect(story.ask(one).places).toEqual([])
  })

  it("a node that is lost and had it by a newer placement is waited for", async () => {
    const story = await restored()
    story.fleet.inventory("n2", has(`${one}@5`))
    story.fleet.lose("n2")
    await story.assign(one)
    expect(story.holder(one)).toBe("n1")
    expect(story.ask(one).why.get("10-0-0-1")).toBe("waits for n2, which may have it")
  })
})

describe("a node that returns", () => {
  it("keeps what nobody has taken: its host went on answering while it could not reach NATS", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one).fleet.abandon("n1")
    await story.assign(one)
    // n2 asks for it on the wire, and is answered.
    expect(story.where(one)).toBe("n1, then n2")
    story.fleet.join("n1")
    story.fleet.inventory("n1", has(`${one}@1`))
    await story.assign(one)
    expect(story.holder(one)).toBe("n1")
  })

  it("gives up what another one has by now", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one).fleet.abandon("n1")
    await story.assign(one)
    story.says("n2", "taken", one)
    story.fleet.join("n1")
    story.fleet.inventory("n1", has(`${one}@1`))
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })

  it("is given nothing anew that its standby may have taken, which NATS has not heard of yet", async () => {
    const story = new Story()
    story.fleet.followedMillis = 1_000
    await story.claims(one)
    // NATS was lost together with n1, and is back with what was placed before; n2 has not reached it yet.
    const before = { claim: "10-0-0-1", address: one, holder: "n1", standby: "n2", link: undefined }
    await story.carryOut({ ...story.ask(), places: [before] })
    story.join("n1", "n3")
    const { why } = await story.assign(one)
    expect(why.get("10-0-0-1")).toBe("waits for n2, which may have it")
    expect(story.where(one)).toBe("n1, then n2")
    // It takes longer than its key lives.
    story.fleet.lose("n2")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
    expect(story.fleet.placements.get("10-0-0-1")?.term).toBe(1)
    // There, and its word is on the way.
    story.fleet.join("n2")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
    story.says("n2", "taken", one)
    story.fleet.inventory("n2", has(`${one}@1`))
    await story.assign(one)
    expect(story.where(one)).toMatch(/^n2, then n[13]$/)
  })

  it("is given what its standby has not taken, once that has spoken or is lost for good", async () => {
    const story = new Story()
    story.fleet.followedMillis = 1_000
    await story.claims(one, two)
    for (const address of [one, two]) {
      const claim = address.replaceAll(".", "-")
      const before = { claim, address, holder: "n1", standby: address === one ? "n2" : "n4", link: undefined }
      await story.carryOut({ ...story.ask(), places: [before] })
    }
    story.join("n1", "n2", "n3")
    await story.assign(one, two)
    expect([story.where(one), story.where(two)]).toEqual(["n1, then n2", "n1, then n4"])
    story.fleet.abandon("n4")
    await story.assign(two)
    expect(story.where(two)).toMatch(/^n1, then n[23]$/)
  })

  it("is not judged by its links before it has spoken: something is placed there, that is all", async () => {
    const story = new Story().join("n1", "n2")
    await story.claims(one)
    await story.assign(one)
    const later = new Story()
    const placement = { claim: "10-0-0-1", address: one, holder: "n9", standby: undefined, link: undefined }
    await later.claims(one)
    await later.carryOut({ ...later.ask(), places: [placement] })
    later.join("n1")
    await later.assign(one)
    expect(later.where(one)).toBe("n9, then n1")
  })
})

describe("a node's slice is complete", () => {
  it("once everything that it has on its links is placed, there or elsewhere", async () => {
    const story = new Story().join("n1", "n2")
    story.fleet.join("n3")
    await story.claims(one, two)
    await story.assign(one, two)
    story.says("n2", "bound", two)
    const id = story.fleet.inventory("n3", has(`${one}@9`, two))
    expect((await story.assign(one)).complete).toEqual([{ node: "n3", inventory: id }])
    expect([story.holder(one), story.holder(two)]).toEqual(["n3", "n2"])
    expect(story.fleet.completed("n3")).toBe(id)
    expect(story.ask(one).complete).toEqual([])
  })

  it("also when it has nothing, and for each inventory anew", async () => {
    const story = new Story().join("n1")
    expect((await story.assign()).complete).toEqual([{ node: "n1", inventory: "inventory-1" }])
    story.fleet.inventory("n1", [])
    expect((await story.assign()).complete).toEqual([{ node: "n1", inventory: "inventory-2" }])
  })

  it("not while it is open who has something of it", async () => {
    const story = new Story().join("n1")
    for (const name of ["n2", "n3"]) story.fleet.join(name)
    await story.claim(one, {}, { node: "n2" })
    story.fleet.inventory("n2", has(`${one}@5`))
    story.fleet.inventory("n3", has(`${one}@4`))
    story.fleet.lose("n2")
    const { complete } = await story.assign(one)
    expect(complete.map(({ node }) => node)).toEqual(["n1"])
  })

  it("not before it is certain that what has no claim was deleted", async () => {
    const story = new Story()
    story.fleet.join("n1")
    const id = story.fleet.inventory("n1", has(one))
    const unknown = await story.assign()
    expect(unknown).toMatchObject({ places: [], complete: [], orphans: ["10-0-0-1"] })
    const certain = story.decide([], [one])
    expect(certain).toMatchObject({ complete: [{ node: "n1", inventory: id }], orphans: [] })
  })

  it("and what is placed without a claim stays, unless it is the claim that something happened to", async () => {
    const story = new Story().join("n1")
    await story.claims(one, two)
    await story.assign(one, two)
    await story.drop(one)
    expect(story.ask(two).places).toEqual([])
    expect(story.ask(one).places).toHaveLength(1)
    expect(story.decide([], [one]).places).toHaveLength(1)
  })
})

describe("after an older copy of JetStream was restored under living nodes", () => {
  it("an address stays on the node that has it, though that copy says that it was given back", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claim(one, {}, { phase: "Bound", node: "n1" })
    await story.assign(one)
    // The copy was made while n1's link had no carrier, and nobody else was there.
    story.says("n1", "bound", one).says("n1", "released", one)
    // n1 says what it has, when it has read that its streams are others.
    story.fleet.inventory("n1", has(`${one}@1`))
    await story.assign(one)
    expect(story.holder(one)).toBe("n1")
  })
})
