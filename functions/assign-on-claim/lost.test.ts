import { describe, expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { all, run, World } from "../../test/support/world.ts"
import { claimName, hostCidr } from "../domain/addresses.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { assignOnClaim } from "./function.ts"
import { Story } from "./story.fixture.ts"

const [one, two] = ["10.0.0.1", "10.0.0.2"]
const name = claimName(one)
const assigner = assignOnClaim(defaultSettings)
const where = (world: World): string => {
  const { holder = "nowhere", standby } = world.cluster.fleet.placements.get(name) ?? {}
  return standby === undefined ? holder : `${holder}, then ${standby}`
}

/** n1 and its standby n2 are lost for good; the one that lives, n4, has no link for the address. */
const bothLost = async () => {
  const world = new World([assigner])
  const { fleet } = world.cluster
  for (const node of ["n1", "n2"]) {
    fleet.join(node)
    fleet.inventory(node, [])
  }
  fleet.join("n4", [testLink({ carrier: false })])
  fleet.inventory("n4", [])
  await run(world.cluster.create(IpClaim, { metadata: { name }, spec: { cidr: hostCidr(one) } }))
  await world.settle()
  fleet.report({ node: "n1", what: "bound", address: one, claim: name })
  await world.settle()
  expect(where(world)).toBe("n1, then n2")
  fleet.abandon("n1")
  await world.settle()
  fleet.abandon("n2")
  await world.settle()
  return world
}

describe("an address whose holder and standby are lost, while no other node may have it", () => {
  it("is given to the next node that joins", async () => {
    const world = await bothLost()
    world.cluster.fleet.join("n3")
    world.cluster.fleet.inventory("n3", [])
    await world.settle()
    expect(where(world)).toBe("n3")
  })
  it("is given to a node whose link has a carrier again", async () => {
    const world = await bothLost()
    world.cluster.fleet.join("n4", [testLink()])
    await world.settle()
    expect(where(world)).toBe("n4")
  })
  it("is given to it with all functions at work as well", async () => {
    const world = new World(all)
    const { fleet } = world.cluster
    for (const node of ["n1", "n2"]) {
      fleet.join(node)
      fleet.inventory(node, [])
    }
    fleet.join("n4", [testLink({ carrier: false })])
    fleet.inventory("n4", [])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web")
    await world.settle()
    fleet.report({ node: "n1", what: "bound", address: one, claim: name })
    await world.settle()
    for (const node of ["n1", "n2"]) {
      fleet.abandon(node)
      await world.settle()
    }
    fleet.join("n3")
    fleet.inventory("n3", [])
    await world.settle()
    expect(where(world)).toBe("n3")
  })
})

describe("what was said of an address before", () => {
  it("takes no stale takeover of a lost node for one of this claim, once another has had the address since", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one)
    // n1 is lost, n2 takes over, and its runtime dies before it hears of the placement that says so.
    story.fleet.lose("n1")
    story.says("n2", "taken", one)
    await story.assign(one)
    expect(story.where(one)).toBe("n2, then n3")
    story.fleet.lose("n2")
    story.says("n3", "taken", one)
    await story.assign(one)
    expect(story.holder(one)).toBe("n3")
    story.says("n3", "bound", one)
    await story.drop(one)
    await story.assign(one)
    story.says("n3", "released", one, { term: 3 })
    await story.claims(one)
    await story.assign(one)
    expect(story.where(one)).toBe("n3")
  })
  it("a stale takeover does not put a new claim where its pin forbids it", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one)
    story.says("n2", "taken", one)
    await story.drop(one)
    await story.assign(one)
    await story.claim(one, { nodeName: "n9" })
    await story.assign(one)
    expect(story.where(one)).toBe("nowhere")
  })
  it("does not go back to a node that another one has taken the address over from", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one)
    // n1 has lost its power; NATS misses it after five seconds only.
    story.says("n2", "taken", one)
    await story.assign(one)
    story.says("n2", "bound", one)
    expect(story.where(one)).toBe("n2, then n3")
    // n2 is drained: n3 is to have it.
    await story.ipNode("n2", { unschedulable: true })
    await story.assign(one)
    expect(story.holder(one)).toBe("n3")
    story.says("n2", "released", one, { term: 2 })
    await story.assign(one)
    expect(story.holder(one)).toBe("n3")
  })
  it("a node that was given up and forgotten is not waited for when NATS was silent for some seconds", async () => {
    const story = new Story().join("n1", "n2", "n3")
    await story.claims(one)
    await story.assign(one)
    story.says("n1", "bound", one)
    story.fleet.abandon("n1")
    await story.drop(one)
    await story.assign(one)
    expect([...story.cluster.fleetView.nodes.keys()]).toEqual(["n2", "n3"])
    // Hours later.
    story.fleet.followedMillis = 1_000
    await story.claims(one)
    const { why } = await story.assign(one)
    expect([...why]).toEqual([])
    expect(story.holder(one)).toBe("n2")
  })
})

describe("a node's slice", () => {
  it("is complete though of what it has one claim was deleted before, and one in this moment", async () => {
    const world = new World([assignOnClaim(defaultSettings)])
    const { fleet } = world.cluster
    fleet.join("n1")
    fleet.inventory("n1", [])
    for (const address of [one, two]) {
      await run(
        world.cluster.create(IpClaim, {
          metadata: { name: claimName(address) },
          spec: { cidr: hostCidr(address) }
        })
      )
    }
    await world.settle()
    for (const address of [one, two])
      fleet.report({ node: "n1", what: "bound", address, claim: claimName(address) })
    const unclaim = (address: string) =>
      run(world.cluster.delete(IpClaim, { namespace: "", name: claimName(address) }))
    // n1 cannot reach NATS, and comes back with both on its link.
    await unclaim(two)
    await world.settle()
    await unclaim(one)
    const id = fleet.inventory(
      "n1",
      [one, two].map((address) => ({ address, claim: claimName(address) }))
    )
    await world.settle()
    expect(fleet.placements.size).toBe(0)
    expect(fleet.completed("n1")).toBe(id)
  })
})
