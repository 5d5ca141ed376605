import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Conflict, type FunctionDefinition } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { run } from "../../test/support/world.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { causes, claim, claimRef, entry, lost } from "./drifts.fixture.ts"
import { sweep } from "./function.ts"

const sweeper = sweep(defaultSettings)

describe("sweep", () => {
  it("finds nothing where all is well", async () => {
    const world = await lost((before) => before.asking("web"))
    await world.start()
    const before = world.state
    await world.sweep()
    expect(causes(world)).toEqual([])
    expect(world.state).toBe(before)
  })

  it("counts what it found, by cause", async () => {
    const count = async () => {
      const states = await Effect.runPromise(Metric.snapshot)
      const mine = states.find(
        ({ id, attributes }) =>
          id === "extip_sweep_drifts_total" && JSON.stringify(attributes).includes("StillShown")
      )
      return Number((mine?.state as { count?: number | bigint } | undefined)?.count ?? 0)
    }
    const world = await lost((before) =>
      before.service("web", { annotations: { "ipcontroller.ext/allocated": "10.0.0.1" } })
    )
    const before = await count()
    await world.sweep()
    expect(await count()).toBe(before + 1)
  })

  it("wakes nobody who is not hosted, and does not fail by it", async () => {
    const before = await lost((world) => world.asking("web"))
    const world = before.another([sweeper])
    await world.sweep()
    expect(world.ended("sweep")).toEqual(["Done"])
  })

  it("tries again when somebody changed the claim that it was about to delete", async () => {
    const before = await lost((world) => claim(world, "10.0.0.1", []))
    const conflict = new Conflict({ operation: "delete IpClaim", detail: "" })
    const world = before.another([sweeper], { through: failing("remove IpClaim", [conflict]) })
    await world.sweep()
    expect(world.ended("sweep")).toEqual(["Again", "Done"])
    expect(world.held).toEqual({})
  })

  it("does nothing about a claim that somebody has just been entered into", async () => {
    const world = await lost((before) => claim(before, "10.0.0.1", []))
    const blind = world.another([sweeper])
    blind.cluster.goStale()
    await world.service("web")
    const spec = { services: [entry(world, "web", { origin: "external" })] }
    await run(world.cluster.patch(IpClaim, claimRef("10.0.0.1"), { spec }))
    await blind.sweep()
    expect(blind.ended("sweep")).toEqual(["Again", "Done"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof sweeper extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
