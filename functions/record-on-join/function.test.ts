import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { type FunctionDefinition, type KubeFailure, Unavailable } from "#runtime"
import { testLink } from "#testkit"
import { counting, failing } from "../../test/support/faults.ts"
import { run, World } from "../../test/support/world.ts"
import { IpNode } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { recordOnJoin } from "./function.ts"

const recorder = recordOnJoin(defaultSettings)
const ref = (name: string) => ({ namespace: "", name })
const node = (world: World, name = "n1") => world.cluster.now(IpNode, ref(name))
const ready = (world: World, name = "n1") =>
  node(world, name)?.status?.conditions?.find(({ type }) => type === "Ready")
const held = (count: number, link = "eth0") =>
  Array.from({ length: count }, (_, index) => ({
    claim: `10-0-0-${index}`,
    address: `10.0.0.${index}`,
    link
  }))
const joined = async (options: object = {}) => {
  const world = new World([recorder], options)
  world.cluster.fleet.join("n1", [
    testLink({ name: "eth0", mac: "02:00:00:00:00:0b" }),
    testLink({ name: "eth1", mac: "02:00:00:00:00:0a", defaultRoutes: [] })
  ])
  world.cluster.fleet.inventory("n1", [])
  await world.settle()
  return world
}

describe("record-on-join", () => {
  it("makes an IpNode of a node that joins: ready, with its link and MACs, and nothing in its spec", async () => {
    const world = await joined()
    expect(node(world)).toMatchObject({
      metadata: { labels: { "app.kubernetes.io/managed-by": "extip" } },
      status: {
        ready: true,
        addresses: 0,
        link: "eth0",
        macs: ["02:00:00:00:00:0a", "02:00:00:00:00:0b"],
        conditions: [{ type: "Ready", status: "True", reason: "Alive", message: "extip test runs on it" }]
      }
    })
    expect(node(world)?.spec).toBeUndefined()
  })

  it("keeps what the user wrote of a node before it joined", async () => {
    const world = new World([recorder])
    await run(world.cluster.create(IpNode, { metadata: { name: "n1" }, spec: { unschedulable: true } }))
    world.cluster.fleet.join("n1")
    await world.settle()
    expect(node(world)).toMatchObject({ spec: { unschedulable: true }, status: { ready: true } })
    expect(node(world)?.metadata.labels).toBeUndefined()
  })

  it("counts of a lost node no address that another one has been given since", async () => {
    const world = await joined()
    const { fleet } = world.cluster
    const place = (holder: string) => {
      const places = [{ claim: "10-0-0-1", address: "10.0.0.1", holder, standby: undefined, link: undefined }]
      return Effect.runPromise(fleet.access(world.cluster.fleetView).place(places, () => ""))
    }
    await place("n1")
    fleet.report({ claim: "10-0-0-1", address: "10.0.0.1", node: "n1", what: "bound" })
    await world.settle()
    fleet.lose("n1")
    await world.settle()
    expect(node(world)?.status?.addresses).toBe(1)
    fleet.join("n2", [testLink()])
    await place("n2")
    await world.settle()
    expect(node(world)?.status?.addresses).toBe(0)
  })

  it("counts the addresses that the node holds, and names the link that most of them are on", async () => {
    const world = await joined()
    world.cluster.fleet.inventory("n1", held(3, "eth1"))
    await world.settle()
    expect(node(world)?.status).toMatchObject({ addresses: 3, link: "eth1" })
    world.cluster.fleet.report({ node: "n1", claim: "10-0-0-1", address: "10.0.0.1", what: "released" })
    await world.settle()
    expect(node(world)?.status?.addresses).toBe(2)
  })

  it("makes one write of a move of many addresses, and none where nothing has changed", async () => {
    const counts = new Map<string, number>()
    const world = await joined({ through: counting(counts) })
    counts.clear()
    for (const { claim, address } of held(200)) {
      world.cluster.fleet.report({ node: "n1", claim, address, what: "taken" })
    }
    await world.settle()
    await world.start()
    expect(node(world)?.status?.addresses).toBe(200)
    expect([...counts]).toEqual([["apply IpNode", 1]])
  })

  it("says that a node is lost, since when, and what is still its own; and that it is back", async () => {
    const world = await joined()
    world.cluster.fleet.inventory("n1", held(3))
    await world.settle()
    world.cluster.fleet.lose("n1")
    await world.settle()
    expect(node(world)?.status).toMatchObject({ ready: false, addresses: 0, link: "eth0" })
    expect(ready(world)).toMatchObject({ status: "False", reason: "NotHeardOf" })
    expect(node(world)?.status?.since).toBe(ready(world)?.lastTransitionTime)
    world.cluster.fleet.abandon("n1")
    await world.settle()
    expect(node(world)?.status?.ready).toBe(false)
    world.cluster.fleet.join("n1")
    await world.settle()
    expect(node(world)?.status?.ready).toBe(true)
  })

  it("says of a node that is not in the fleet that it is not heard of, but not before it can have been", async () => {
    const world = new World([recorder])
    world.cluster.fleet.followedMillis = 2_000
    await run(world.cluster.create(IpNode, { metadata: { name: "n1" }, spec: {} }))
    await world.settle()
    expect(node(world)?.status).toBeUndefined()
    world.cluster.fleet.followedMillis = 20_000
    await world.start()
    expect(node(world)?.status).toMatchObject({ ready: false, addresses: 0, macs: [] })
  })

  it("makes none of a node that is known only because something was placed there", async () => {
    const world = new World([recorder])
    world.cluster.fleetView.assigned(1, "n7", "10-0-0-1", {
      ...{ role: "holder", claim: "10-0-0-1", address: "10.0.0.1", term: 1, holder: "n7" }
    })
    await world.settle()
    expect(node(world, "n7")).toBeUndefined()
  })

  it("makes it again when somebody deletes it while the node lives, and not when the node is gone", async () => {
    const world = await joined()
    await run(world.cluster.delete(IpNode, ref("n1")))
    await world.settle()
    expect(node(world)?.status?.ready).toBe(true)
    world.cluster.fleet.abandon("n1")
    await run(world.cluster.delete(IpNode, ref("n1")))
    await world.settle()
    expect(node(world)).toBeUndefined()
  })

  it("makes one of it though two hosts with stale views do so at the same time", async () => {
    const world = new World([recorder])
    const stale = world.another([recorder])
    world.cluster.fleet.join("n1")
    stale.cluster.goStale()
    await world.settle()
    await stale.settle()
    expect(stale.ended("record-on-join")).toEqual(["Again", "Done"])
    expect(world.cluster.all(IpNode)).toHaveLength(1)
  })

  it.each(["create IpNode", "apply IpNode"])("tries again when the API server is away: %s", async (call) => {
    const failures: Array<KubeFailure> = [new Unavailable({ operation: "", detail: "" })]
    const world = await joined({ through: failing(call, failures) })
    expect(world.ended("record-on-join").slice(0, 2)).toEqual(["Again", "Done"])
    expect(node(world)?.status?.ready).toBe(true)
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof recorder extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
