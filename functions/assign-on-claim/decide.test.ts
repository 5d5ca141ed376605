import { describe, expect, it } from "@effect/vitest"
import { addressOf } from "../domain/addresses.ts"
import { Story } from "./story.fixture.ts"

const addresses = (count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => addressOf(10 * 2 ** 24 + 1 + index))
const excludeLabel = "node.kubernetes.io/exclude-from-external-load-balancers"

describe("an address is given", () => {
  it("to the node with the fewest, the first by name among equals, and another one stands by", async () => {
    const story = new Story().join("n3", "n1", "n2")
    await story.claims("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")
    await story.assign("10.0.0.1", "10.0.0.2", "10.0.0.3")
    expect(["10.0.0.1", "10.0.0.2", "10.0.0.3"].map((address) => story.where(address))).toEqual([
      "n1, then n2",
      "n2, then n3",
      "n3, then n1"
    ])
    await story.assign("10.0.0.4")
    expect(story.where("10.0.0.4")).toBe("n1, then n3")
  })

  it("to the first by name that lives, when that is the policy", async () => {
    const story = new Story("first-alive").join("n2", "n3", "n1")
    await story.claims("10.0.0.1", "10.0.0.2")
    await story.assign("10.0.0.1", "10.0.0.2")
    expect(story.counts).toEqual({ n1: 2 })
    expect([story.where("10.0.0.1"), story.where("10.0.0.2")]).toEqual(["n1, then n2", "n1, then n3"])
  })

  it("once: deciding again changes nothing", async () => {
    const story = new Story().join("n1", "n2")
    await story.claims("10.0.0.1")
    await story.assign("10.0.0.1")
    expect(story.ask("10.0.0.1").places).toEqual([])
  })

  it("to the only node there is, without a standby; when another joins it stands by, and nothing moves", async () => {
    const story = new Story().join("n1")
    await story.claims("10.0.0.1")
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n1")
    story.join("n2")
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n1, then n2")
  })

  it("to nobody while no node runs extip, and says so", async () => {
    const story = new Story()
    await story.claims("10.0.0.1")
    expect((await story.assign("10.0.0.1")).why.get("10-0-0-1")).toBe("is on no node, as no node runs extip")
    expect(story.where("10.0.0.1")).toBe("nowhere")
  })
})

describe("of three nodes the first is passed over", () => {
  type Prepare = (story: Story) => Promise<unknown> | unknown
  const cases: ReadonlyArray<readonly [why: string, prepare: Prepare, said: string]> = [
    ["when it is cordoned", (story) => story.node("n1", { unschedulable: true }), "n1 is cordoned"],
    [
      "when its label excludes it from load balancers",
      (story) => story.node("n1", { labels: { [excludeLabel]: "" } }),
      `n1 has the label ${excludeLabel}`
    ],
    [
      "when its IpNode is unschedulable",
      (story) => story.ipNode("n1", { unschedulable: true }),
      "n1 is unschedulable by its IpNode"
    ],
    [
      "when it has no pod network",
      (story) => story.node("n1", { cutOff: true }),
      "n1 has no pod network (NetworkUnavailable)"
    ],
    [
      "when no link of it has the address's subnet, and none the default route",
      (story) => story.links("n1", { subnets: ["192.168.0.1/24"], defaultRoutes: [] }),
      "n1 has no link for 10.0.0.1"
    ],
    [
      "when the link has no carrier",
      (story) => story.links("n1", { carrier: false }),
      "n1 has no link for 10.0.0.1"
    ],
    [
      "when its IpNode allows other links only",
      (story) => story.ipNode("n1", { links: ["eth1"] }),
      "n1 has no link for 10.0.0.1"
    ],
    ["when it is lost", (story) => story.fleet.lose("n1"), "n1 is lost"]
  ]

  it.each(cases)("%s", async (_, prepare, said) => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims("10.0.0.1")
    await prepare(story)
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2, then n3")
    await story.claim("10.0.0.1", { nodeName: "n1" })
    const { why } = await story.assign("10.0.0.1")
    expect(why.get("10-0-0-1")).toContain(`no node may be given it: ${said}`)
  })
})

describe("pools and pins", () => {
  it("a pool's nodeSelector chooses the nodes; a machine without a kubelet has no labels and is not chosen", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.node("n2", { labels: { edge: "yes" } })
    await story.node("n3", { labels: { edge: "no" } })
    await story.pool("lan", { nodeSelector: { matchLabels: { edge: "yes" } } })
    await story.claim("10.0.0.1", { pool: "lan" })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2")
    await story.node("n2", { labels: { edge: "no" } })
    expect(story.ask("10.0.0.1").why.get("10-0-0-1")).toBe(
      "stays, though n2 does not match the nodeSelector of pool lan, as no node may be given it: " +
        "n1 is no Kubernetes Node, and pool lan selects by labels, n2 does not match the nodeSelector of pool lan, " +
        "n3 does not match the nodeSelector of pool lan"
    )
  })

  it("the link of the claim, else of the pool, must be there, and is told to the node", async () => {
    const story = new Story().join("n1", "n2", "n3")
    story.links("n2", { name: "eth0" }, { name: "eth1", defaultRoutes: [] })
    await story.pool("lan", { link: "eth1" })
    await story.claim("10.0.0.1", { pool: "lan" })
    await story.claim("10.0.0.2", { pool: "lan", link: "eth0" })
    await story.assign("10.0.0.1", "10.0.0.2")
    expect(story.where("10.0.0.1")).toBe("n2")
    expect(story.fleet.placements.get("10-0-0-1")?.link).toBe("eth1")
    expect(story.where("10.0.0.2")).toBe("n1, then n2")
    expect(story.fleet.placements.get("10-0-0-2")?.link).toBe("eth0")
    await story.pool("lan", {})
  })

  it("an IpNode's links are told to a node that would choose another one by itself", async () => {
    const story = new Story()
    story
      .links("n1", { name: "eth0" }, { name: "eth1" })
      .links("n2", { name: "eth0" })
      .links("n3", { name: "eth1" })
    await story.ipNode("n1", { links: ["eth1"] })
    await story.claims("10.0.0.1")
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n1, then n3")
    expect(story.fleet.placements.get("10-0-0-1")?.link).toBe("eth1")
  })

  it("a claim that names a node is there or nowhere", async () => {
    const story = new Story().join("n1", "n2")
    await story.claim("10.0.0.1", { nodeName: "n2" })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2")
    await story.claim("10.0.0.1", { nodeName: "n1" })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n1")
    await story.claim("10.0.0.1", { nodeName: "n9" })
    const { why } = await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("nowhere")
    expect(why.get("10-0-0-1")).toContain("extip does not run on n9, which the claim names")
  })

  it("a pinned claim is not moved when its node is lost", async () => {
    const story = new Story().join("n1", "n2")
    await story.claim("10.0.0.1", { nodeName: "n2" })
    await story.assign("10.0.0.1")
    story.fleet.abandon("n2")
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2")
  })
})

describe("externalTrafficPolicy Local", () => {
  const three = async (on: Parameters<Story["endpoints"]>[1]) => {
    const story = new Story().join("n1", "n2", "n3")
    await story.service("web", "Local")
    await story.endpoints("web", on)
    await story.claim("10.0.0.1", { services: ["web"] })
    await story.assign("10.0.0.1")
    return story
  }

  it("the address is where an endpoint is ready, and follows it", async () => {
    const story = await three({ n2: "ready", n1: "failed" })
    expect(story.where("10.0.0.1")).toBe("n2")
    await story.endpoints("web", { n2: "terminating", n3: "ready" })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n3")
  })

  it("it stays while any endpoint on its node is ready, wherever else one comes up", async () => {
    const story = await three({ n2: "ready" })
    await story.endpoints("web", { n1: "ready", n2: "ready" })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2, then n1")
  })

  it("where none is ready, those that terminate but serve count", async () => {
    const story = await three({ n3: "terminating", n1: "failed" })
    expect(story.where("10.0.0.1")).toBe("n3")
  })

  it("where there is none at all it stays as it is: better a node without endpoints than none", async () => {
    const story = await three({ n2: "ready" })
    await story.endpoints("web", {})
    const { why } = await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2")
    expect(why.get("10-0-0-1")).toContain(
      "n2 has no ready endpoint of default/web (externalTrafficPolicy Local)"
    )
  })

  it("a shared address is where all of these Services have endpoints", async () => {
    const story = await three({ n1: "ready", n2: "ready" })
    await story.service("mail", "Local")
    await story.service("dns", "Cluster")
    await story.endpoints("mail", { n2: "ready", n3: "ready" })
    await story.claim("10.0.0.1", { services: ["web", "mail", "dns"] })
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toBe("n2")
  })

  it("a Service with policy Cluster may be anywhere", async () => {
    const story = await three({ n2: "ready" })
    await story.service("web", "Cluster")
    await story.assign("10.0.0.1")
    expect(story.where("10.0.0.1")).toMatch(/^n2, then n[13]$/)
  })
})

describe("fairness", () => {
  it.each([
    [1, 7],
    [3, 100],
    [7, 50],
    [10, 1_000]
  ])(
    "%i nodes share %i addresses: their counts differ by one at most, and no node is its own standby",
    async (nodes, count) => {
      const story = new Story().join(...Array.from({ length: nodes }, (_, index) => `n${index}`))
      const all = addresses(count)
      await story.claims(...all)
      // In two halves, as they may come.
      await story.assign(...all.slice(0, count >> 1))
      await story.assign(...all.slice(count >> 1))
      const counts = Object.values(story.counts)
      expect(counts).toHaveLength(nodes)
      expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1)
      for (const { holder, standby } of story.fleet.placements.values()) {
        expect(standby === undefined).toBe(nodes === 1)
        expect(standby).not.toBe(holder)
      }
    }
  )

  it("a node's addresses are spread evenly over four standbys, and each node stands by for four", async () => {
    const names = Array.from({ length: 9 }, (_, index) => `n${index}`)
    const story = new Story().join(...names)
    const all = addresses(9 * 10)
    await story.claims(...all)
    await story.assign(...all)
    const pairs = new Map<string, number>()
    for (const { holder, standby } of story.fleet.placements.values()) {
      pairs.set(`${holder} ${standby}`, (pairs.get(`${holder} ${standby}`) ?? 0) + 1)
    }
    for (const name of names) {
      const own = [...pairs].filter(([pair]) => pair.startsWith(`${name} `)).map(([, count]) => count)
      expect(own.toSorted()).toEqual([2, 2, 3, 3])
      expect([...pairs.keys()].filter((pair) => pair.endsWith(` ${name}`))).toHaveLength(4)
    }
  })

  it("nothing moves because a node joined; new addresses go there until it has as many", async () => {
    const story = new Story().join("n1", "n2")
    const all = addresses(8)
    await story.claims(...all)
    await story.assign(...all.slice(0, 4))
    story.join("n3")
    expect((await story.assign(...all.slice(0, 4))).places).toEqual([])
    await story.assign(...all.slice(4))
    expect(story.counts).toEqual({ n1: 3, n2: 3, n3: 2 })
  })

  it("whatever order claims come in, the decision is the same", async () => {
    const decided = async (order: ReadonlyArray<string>, nodes: ReadonlyArray<string>) => {
      const story = new Story().join(...nodes)
      await story.claims(...order)
      await story.assign(...order)
      return [...story.fleet.placements.values()].map((one) => JSON.stringify(one)).toSorted()
    }
    const all = addresses(40)
    expect(await decided(all.toReversed(), ["n3", "n1", "n2"])).toEqual(
      await decided(all, ["n1", "n2", "n3"])
    )
  })
})
