import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { type FunctionDefinition, Unavailable } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { all, only, run, World } from "../../test/support/world.ts"
import { addressOf, claimName } from "../domain/addresses.ts"
import { IpClaim, Node } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { summarizePool } from "./function.ts"

const summarizer = summarizePool(defaultSettings)
const exhausted = (world: World, name = "lan") =>
  world.poolNow(name).status?.conditions?.find(({ type }) => type === "Exhausted")
const claim = (world: World, address: string) =>
  run(
    world.cluster.create(IpClaim, {
      metadata: { name: claimName(address) },
      spec: { cidr: `${address}/32`, services: [] }
    })
  )
const drop = (world: World, address: string) =>
  run(world.cluster.delete(IpClaim, { namespace: "", name: claimName(address) }))

describe("summarize-pool", () => {
  it("says who has which address, and how many are left", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/30" })
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({ allocated: {}, capacity: 2, used: 0, available: 2 })
    await world.asking("a")
    await world.asking("b")
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({
      allocated: { "10.0.0.1": "10-0-0-1", "10.0.0.2": "10-0-0-2" },
      capacity: 2,
      used: 2,
      available: 0
    })
    expect(exhausted(world)).toMatchObject({ status: "True", message: "2 of 2 in use" })
    await world.deleteService("a")
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({
      allocated: { "10.0.0.2": "10-0-0-2" },
      used: 1,
      available: 1
    })
    expect(exhausted(world)).toMatchObject({ status: "False", message: "1 of 2 in use" })
  })

  it("writes nothing where all of it is said already", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await claim(world, "10.0.0.3")
    await world.settle()
    const before = world.state
    await world.start()
    await world.another([summarizer]).start()
    expect(world.state).toBe(before)
  })

  it("leaves the condition of validate-pool as it is", async () => {
    const world = new World(only("summarize-pool", "validate-pool"))
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    await claim(world, "10.0.0.3")
    await world.settle()
    expect(
      world
        .poolNow("lan")
        .status?.conditions?.map(({ type }) => type)
        .toSorted()
    ).toEqual(["Exhausted", "Valid"])
    expect(world.poolNow("lan").status?.observedGeneration).toBe(1)
  })

  it("leaves the map out above 4,096 addresses and says so, while the counts stay exact", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/16" })
    const at = (index: number) => addressOf(10 * 2 ** 24 + 1 + index)
    for (let index = 0; index < 4_096; index++) await claim(world, at(index))
    await world.settle()
    expect(Object.keys(world.poolNow("lan").status?.allocated ?? {})).toHaveLength(4_096)
    await claim(world, at(4_096))
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({ used: 4_097, available: 65_534 - 4_097 })
    expect(world.poolNow("lan").status?.allocated).toBeUndefined()
    expect(exhausted(world)?.message).toContain("allocated is left out above 4096 addresses")
    await drop(world, at(7))
    await world.settle()
    expect(Object.keys(world.poolNow("lan").status?.allocated ?? {})).toHaveLength(4_096)
  })

  it("wakes both for the pool around an address and for the one that its claim names", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.pool("wan", { cidr: "10.1.0.0/29" })
    await world.settle()
    const runs = world.cluster.runs.length
    await claim(world, "10.1.0.2")
    await world.settle()
    expect(world.cluster.runs.slice(runs).map(({ target }) => target)).toEqual(["ipclaimpools/wan"])
  })

  it("counts what the pool describes now when it is edited", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await claim(world, "10.0.0.3")
    await world.settle()
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.2"]] })
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({ allocated: {}, used: 0, capacity: 2, available: 2 })
  })

  it("says of a pool that is no pool that it has nothing", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "nonsense" })
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({ capacity: 0, used: 0, available: 0 })
    expect(exhausted(world)?.status).toBe("False")
  })

  it("has nothing to do for a pool that is gone", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.deletePool("lan")
    await world.settle()
    expect(world.ended("summarize-pool")).toEqual(["Gone"])
  })

  it("is told by the next event what a host with a stale view has written", async () => {
    const first = new World([summarizer])
    await first.pool("lan", { cidr: "10.0.0.0/29" })
    await first.settle()
    const second = first.another([summarizer])
    second.cluster.wakeAll()
    second.cluster.goStale()
    await claim(first, "10.0.0.3")
    await claim(second, "10.0.0.4")
    await first.settle()
    await second.settle()
    second.cluster.catchUp()
    await second.settle()
    expect(first.poolNow("lan").status).toMatchObject({ used: 2, available: 4 })
  })

  it("tries again when the API server is away", async () => {
    const failures = [new Unavailable({ operation: "", detail: "" })]
    const world = new World([summarizer], { through: failing("apply IpClaimPool", failures) })
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    expect(world.ended("summarize-pool")).toEqual(["Again", "Done"])
  })

  it("does not count as available what a Node has", async () => {
    const world = new World([summarizer])
    await world.pool("lan", { cidr: "10.0.0.0/30" })
    await world.settle()
    const node = {
      metadata: { name: "n1" },
      status: { addresses: [{ type: "InternalIP", address: "10.0.0.2" }] }
    }
    await run(world.cluster.create(Node, node))
    await world.settle()
    expect(world.poolNow("lan").status).toMatchObject({ capacity: 2, used: 0, available: 1 })
    await run(world.cluster.delete(Node, { namespace: "", name: "n1" }))
    await world.settle()
    expect(world.poolNow("lan").status?.available).toBe(2)
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof summarizer extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
