import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { type FunctionDefinition, Unavailable } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { run, World } from "../../test/support/world.ts"
import { IpClaimPool } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { validatePool } from "./function.ts"

const validate = validatePool(defaultSettings)
const lan = { cidr: "10.0.0.0/24" }
const valid = (world: World, name: string) =>
  world.poolNow(name).status?.conditions?.find(({ type }) => type === "Valid")

describe("validate-pool", () => {
  it("says that a pool can be used, once", async () => {
    const world = new World([validate])
    await world.pool("lan", lan)
    await world.settle()
    expect(valid(world, "lan")).toMatchObject({
      status: "True",
      reason: "Usable",
      message: "254 addresses can be given out",
      observedGeneration: 1
    })
    expect(world.poolNow("lan").status?.observedGeneration).toBe(1)
    const before = world.state
    await world.start()
    await world.another([validate]).start()
    expect(world.state).toBe(before)
    expect(world.events()).toEqual(["PoolValid: 254 addresses can be given out"])
  })

  it.each<[string, object]>([
    ["InvalidCidr", { cidr: "10.0.0.1/24" }],
    ["RangeOutsideCidr", { ...lan, ranges: [["10.0.0.1", "10.0.1.1"]] }],
    ["RangeReversed", { ...lan, ranges: [["10.0.0.9", "10.0.0.1"]] }],
    [
      "RangesOverlap",
      {
        ...lan,
        ranges: [
          ["10.0.0.1", "10.0.0.9"],
          ["10.0.0.5", "10.0.0.12"]
        ]
      }
    ]
  ])("says %s, in the condition and in one Event, and that it is mended", async (reason, spec) => {
    const world = new World([validate])
    await world.pool("lan", spec as never)
    await world.settle()
    await world.start()
    expect(valid(world, "lan")).toMatchObject({ status: "False", reason })
    expect(world.events()).toEqual([`${reason}: ${valid(world, "lan")?.message}`])
    await world.editPool("lan", { ...lan, ranges: null })
    await world.settle()
    expect(valid(world, "lan")).toMatchObject({ status: "True", observedGeneration: 2 })
    expect(world.events().at(-1)).toBe("PoolValid: 254 addresses can be given out")
  })

  it("names the older pool that it overlaps, until that is edited or deleted", async () => {
    const world = new World([validate])
    await world.pool("old", { cidr: "10.0.0.128/25" })
    await world.pool("lan", lan)
    await world.settle()
    expect(valid(world, "old")?.status).toBe("True")
    expect(valid(world, "lan")).toMatchObject({ status: "False", reason: "OverlapsPool" })
    expect(valid(world, "lan")?.message).toContain(
      "10.0.0.129 to 10.0.0.254 also belong to the older pool old"
    )
    await world.editPool("old", { cidr: "10.0.1.0/25" })
    await world.settle()
    expect(valid(world, "lan")?.status).toBe("True")
    await world.editPool("old", { cidr: "10.0.0.128/25" })
    await world.settle()
    expect(valid(world, "lan")?.status).toBe("False")
    await world.deletePool("old")
    await world.settle()
    expect(valid(world, "lan")?.status).toBe("True")
  })

  it("keeps the time of the last change of the verdict, and not of its words", async () => {
    const world = new World([validate])
    await world.pool("lan", lan)
    await world.settle()
    const { lastTransitionTime } = valid(world, "lan")!
    await world.editPool("lan", { cidr: "10.0.0.0/25" })
    await world.settle()
    expect(valid(world, "lan")).toMatchObject({
      lastTransitionTime,
      message: "126 addresses can be given out"
    })
  })

  it("does not wake at a change of the status alone", async () => {
    const world = new World([validate])
    await world.pool("lan", lan)
    await world.settle()
    const runs = world.cluster.runs.length
    const status = { status: { used: 3 } }
    await run(
      world.cluster.api.mergePatch(IpClaimPool, { namespace: "", name: "lan" }, status, {
        subresource: "status"
      })
    )
    await world.settle()
    expect(world.cluster.runs).toHaveLength(runs)
  })

  it("says both pools' verdicts when two hosts with stale views judge at the same time", async () => {
    const first = new World([validate])
    const second = first.another([validate])
    await first.pool("old", { cidr: "10.0.0.128/25" })
    second.cluster.goStale()
    await first.pool("lan", lan)
    await first.settle()
    await second.settle()
    second.cluster.catchUp()
    await second.settle()
    expect([valid(first, "old")?.status, valid(first, "lan")?.status]).toEqual(["True", "False"])
  })

  it("has nothing to do for a pool that is gone", async () => {
    const world = new World([validate])
    await world.pool("lan", lan)
    await world.deletePool("lan")
    await world.settle()
    expect(world.ended("validate-pool")).toEqual(["Gone"])
  })

  it("tries again when the API server is away", async () => {
    const failures = [new Unavailable({ operation: "", detail: "" })]
    const world = new World([validate], { through: failing("apply IpClaimPool", failures) })
    await world.pool("lan", { cidr: "10.0.0.1/24" })
    await world.settle()
    expect(world.ended("validate-pool")).toEqual(["Again", "Done"])
  })

  it("loses against a pool that was created again under its name, and judges that", async () => {
    const world = new World([validate])
    await world.pool("lan", { cidr: "10.0.0.1/24" })
    const stale = world.another([validate])
    stale.cluster.wakeAll()
    stale.cluster.goStale()
    await world.deletePool("lan")
    await world.pool("lan", lan)
    await stale.settle()
    expect(stale.ended("validate-pool")).toEqual(["Again", "Done"])
    expect(valid(world, "lan")?.status).toBe("True")
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof validate extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
