import { describe, expect, it } from "@effect/vitest"
import { has, Story } from "./story.fixture.ts"

const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"
const one = "10.0.0.1"

/** Three nodes; the address is on n1, and n2 stands by. */
const boundOnFirst = async (): Promise<Story> => {
  const story = new Story().join("n1", "n2", "n3")
  await story.claims(one)
  await story.assign(one)
  story.says("n1", "bound", one)
  expect(story.where(one)).toBe("n1, then n2")
  return story
}

/** The claim is deleted, and the address is claimed anew. */
const freeAndClaim = async (story: Story): Promise<void> => {
  await story.drop(one)
  await story.assign(one)
  await story.claims(one)
}

type Prepare = (story: Story) => Promise<unknown> | unknown

describe("an address on a node", () => {
  const cases: ReadonlyArray<readonly [what: string, prepare: Prepare, where: string]> = [
    ["stays when the node is cordoned", (story) => story.node("n1", { unschedulable: true }), "n1, then n2"],
    ["stays when its standby dies, and gets another", (story) => story.fleet.lose("n2"), "n1, then n3"],
    [
      "stays when its standby is cordoned, and gets another",
      (story) => story.node("n2", { unschedulable: true }),
      "n1, then n3"
    ],
    ["stays when another node dies", (story) => story.fleet.abandon("n3"), "n1, then n2"],
    [
      "leaves for its standby when the node's label excludes it",
      (story) => story.node("n1", { labels: { [excludeLabel]: "true" } }),
      "n2, then n3"
    ],
    [
      "leaves for its standby when its IpNode is unschedulable",
      (story) => story.ipNode("n1", { unschedulable: true }),
      "n2, then n3"
    ],
    [
      "leaves when the node loses its pod network",
      (story) => story.node("n1", { cutOff: true }),
      "n2, then n3"
    ],
    ["leaves when the link has no carrier", (story) => story.links("n1", { carrier: false }), "n2, then n3"],
    ["leaves when the link is gone", (story) => story.links("n1", { defaultRoutes: [] }), "n2, then n3"],
    ["leaves when the claim names another", (story) => story.claim(one, { nodeName: "n3" }), "n3"],
    [
      "leaves when its standby may not have it either",
      async (story) => {
        await story.ipNode("n1", { unschedulable: true })
        await story.ipNode("n2", { unschedulable: true })
      },
      "n3"
    ],
    [
      "stays when no other may have it",
      async (story) => {
        for (const name of ["n1", "n2", "n3"]) await story.ipNode(name, { unschedulable: true })
      },
      "n1"
    ]
  ]

  it.each(cases)("%s", async (_, prepare, where) => {
    const story = await boundOnFirst()
    await prepare(story)
    await story.assign(one)
    expect(story.where(one)).toBe(where)
    expect(story.ask(one).places).toEqual([])
  })

  it("leaves a cordoned node by way of its runtime: the slice says that it is draining", async () => {
    const story = await boundOnFirst()
    await story.node("n1", { unschedulable: true })
    expect(story.ask(one).draining).toContainEqual({ node: "n1", draining: true })
    await story.node("n1", { unschedulable: false })
    expect(story.ask(one).draining).toContainEqual({ node: "n1", draining: false })
  })

  it("gets a standby that has let go of it: until then the old holder is none", async () => {
    const story = new Story().join("n1", "n2")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one)
    await story.ipNode("n1", { unschedulable: true })
    await story.assign(one)
    await story.ipNode("n1", { unschedulable: false })
    story.says("n2", "bound", one)
    await story.assign(one)
    expect(story.where(one)).toBe("n2")
    story.says("n1", "released", one)
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n1")
  })

  it("is taken off the nodes when its claim was deleted", async () => {
    const story = await boundOnFirst()
    await story.drop(one)
    await story.assign(one)
    expect(story.where(one)).toBe("nowhere")
  })
})

describe("a node that is lost", () => {
  it("keeps its addresses: whoever stands by for them takes them over on the wire", async () => {
    const story = await boundOnFirst()
    story.fleet.lose("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
  })

  it("gets another standby if the first is lost as well", async () => {
    const story = await boundOnFirst()
    story.fleet.lose("n1")
    story.fleet.lose("n2")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n3")
  })

  it("keeps its standby, whatever becomes of that one's right to have it: it alone has seen the address there", async () => {
    const story = await boundOnFirst()
    story.fleet.lose("n1")
    await story.ipNode("n2", { unschedulable: true })
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
  })

  it.each<[string, Prepare]>([
    ["has no carrier", (story) => story.links("n2", { carrier: false })],
    ["has no link for the address", (story) => story.links("n2", { defaultRoutes: [] })]
  ])("is not left to a standby that lives but %s, since that one will take nothing", async (_, prepare) => {
    const story = await boundOnFirst()
    await prepare(story)
    story.fleet.lose("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n3")
    const given = await boundOnFirst()
    await prepare(given)
    given.fleet.abandon("n1")
    await given.assign(one)
    expect(given.where(one)).toBe("n3")
  })

  it("is replaced by its standby if it has never said that it has the address", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.fleet.abandon("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })

  it("is left to its standby as long as that lives, since it may have lost NATS alone; else replaced by another", async () => {
    const story = await boundOnFirst()
    story.fleet.abandon("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n2")
    story.fleet.lose("n2")
    story.fleet.abandon("n2")
    await story.ipNode("n3", { unschedulable: true })
    await story.assign(one)
    expect(story.holder(one)).toBe("n1")
    await story.ipNode("n3", { unschedulable: false })
    await story.assign(one)
    expect(story.where(one)).toBe("n3")
  })

  it("may have what was freed meanwhile and is claimed again, so that is not given to another at once", async () => {
    const story = await boundOnFirst()
    story.fleet.lose("n1")
    await freeAndClaim(story)
    const { why } = await story.assign(one)
    expect(story.where(one)).toBe("nowhere")
    expect(why.get("10-0-0-1")).toBe("waits for n1, which may have it")
    story.fleet.abandon("n1")
    await story.assign(one)
    expect(story.holder(one)).toBe("n2")
  })

  it.each<[string, Prepare]>([
    ["its standby took it over", (story) => story.says("n2", "taken", one)],
    [
      "it was placed elsewhere",
      async (story) => {
        story.says("n2", "taken", one)
        await story.assign(one)
        story.says("n2", "bound", one)
      }
    ]
  ])("has nothing any more of what is claimed again after %s", async (_, prepare) => {
    const story = await boundOnFirst()
    story.fleet.lose("n1")
    await prepare(story)
    story.says("n2", "released", one)
    await freeAndClaim(story)
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })
})

describe("a takeover", () => {
  it("is recorded, and another node stands by from then on", async () => {
    const story = await boundOnFirst()
    story.says("n2", "taken", one)
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
    expect(story.fleet.placements.get("10-0-0-1")?.term).toBe(2)
    story.says("n2", "bound", one)
    expect(story.ask(one).places).toEqual([])
  })

  it("is not contested, though the node may be given nothing", async () => {
    const story = await boundOnFirst()
    story.says("n2", "taken", one)
    await story.ipNode("n2", { unschedulable: true })
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })

  it("counts though the holder's last word is that it has the address, and though it seems to live", async () => {
    const story = await boundOnFirst()
    story.fleet.inventory("n1", has("10.0.0.1@1"))
    story.says("n2", "taken", one)
    await story.assign(one)
    expect(story.holder(one)).toBe("n2")
    // The host of n1 is found to be lost only now.
    story.fleet.abandon("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })

  it("counts no more once something newer was placed", async () => {
    const story = await boundOnFirst()
    await story.claim(one, { nodeName: "n3" })
    await story.assign(one)
    story.says("n2", "taken", one, { term: 1 }).says("n2", "released", one, { term: 1 })
    await story.assign(one)
    expect(story.where(one)).toBe("n3")
  })

  it("under an older placement counts if the holder that was placed since is lost", async () => {
    const story = await boundOnFirst()
    await story.node("n2", { unschedulable: true })
    await story.assign(one)
    expect(story.where(one)).toBe("n1, then n3")
    await story.node("n2", { unschedulable: false })
    // n2 had not heard of that yet.
    story.says("n2", "taken", one, { term: 1 })
    story.fleet.lose("n1")
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })
})

describe("a holder that gave the address back by itself", () => {
  it("is replaced by its standby", async () => {
    const story = await boundOnFirst()
    story.says("n1", "released", one, { reason: "the node is drained" })
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
  })

  it("is asked again when there is no other", async () => {
    const story = new Story().join("n1")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one).says("n1", "released", one)
    await story.assign(one)
    expect(story.where(one)).toBe("n1")
  })

  it("stays if it has it again", async () => {
    const story = await boundOnFirst()
    story.says("n1", "released", one).says("n1", "bound", one)
    expect(story.ask(one).places).toEqual([])
  })

  it("by an older placement has done what it was told", async () => {
    const story = await boundOnFirst()
    await story.claim(one, { nodeName: "n3" })
    await story.assign(one)
    story.says("n1", "released", one, { term: 1 })
    expect(story.ask(one).places).toEqual([])
  })
})

describe("an address that a foreign machine has", () => {
  it("is on no node for a minute, then it is tried again", async () => {
    const story = await boundOnFirst()
    story.says("n1", "conflict", one, { foreign: "02:00:00:00:00:99" })
    const { againMillis, why } = await story.assign(one)
    expect(story.where(one)).toBe("nowhere")
    expect(againMillis).toBe(60_000)
    expect(why.get("10-0-0-1")).toBe("is set aside: a foreign machine has the address")
    story.now += 59_999
    await story.assign(one)
    expect(story.where(one)).toBe("nowhere")
    story.now += 1
    await story.assign(one)
    expect(story.holder(one)).toBeDefined()
    // Still the same word of n1; what was placed since is the new attempt.
    expect(story.ask(one).places).toEqual([])
  })

  it("is on no node before the time that its status says", async () => {
    const story = await boundOnFirst()
    const retryAt = new Date(story.now + 300_000).toISOString()
    story.says("n1", "conflict", one)
    await story.claim(one, {}, { phase: "Conflict", retryAt })
    expect((await story.assign(one)).againMillis).toBe(300_000)
    story.now += 299_999
    expect(story.ask(one).places).toEqual([])
    story.now += 1
    expect(story.ask(one).places).toHaveLength(1)
  })

  it("stays away though JetStream has lost every word of it", async () => {
    const story = new Story().join("n1", "n2")
    const retryAt = new Date(story.now + 300_000).toISOString()
    await story.claim(one, {}, { phase: "Conflict", retryAt })
    expect((await story.assign(one)).againMillis).toBe(300_000)
    expect(story.where(one)).toBe("nowhere")
  })

  it("is on no node only once: deciding again writes nothing", async () => {
    const story = await boundOnFirst()
    story.says("n1", "conflict", one)
    await story.assign(one)
    expect(story.ask(one).places).toEqual([])
  })
})
