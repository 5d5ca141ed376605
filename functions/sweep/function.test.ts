import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { Conflict, type FunctionDefinition } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { all, run, World } from "../../test/support/world.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { sweep } from "./function.ts"

const sweeper = sweep(defaultSettings)
const claimRef = (address: string) => ({ namespace: "", name: address.replaceAll(".", "-") })
const entry = (world: World, name: string, more: object = {}) => ({
  namespace: "default",
  name,
  uid: world.now(name).metadata.uid,
  origin: "allocated",
  ports: [{ port: 80, protocol: "TCP" }],
  ...more
})
const claim = (world: World, address: string, services: ReadonlyArray<object>, status?: object) =>
  run(
    world.cluster.create(IpClaim, {
      metadata: { name: claimRef(address).name },
      spec: { cidr: `${address}/32`, pool: "lan", services },
      ...(status && { status })
    })
  )

/** Nobody has been woken yet: all events so far were lost. */
const lost = async (prepare: (world: World) => Promise<unknown>) => {
  const before = new World([])
  await before.pool("lan", { cidr: "10.0.0.0/29" })
  await prepare(before)
  return before.another(all)
}
const carrying = (address: string) => ({
  annotations: { "external-ip": "auto", "ipcontroller.ext/allocated": address }
})
const causes = (world: World): ReadonlyArray<string> =>
  world.cluster.runs.flatMap(({ function: fn, ended }) =>
    fn === "sweep" && ended._tag === "Done" && ended.decision !== undefined ? [ended.decision] : []
  )

describe("sweep", () => {
  it.each<[string, (world: World) => Promise<unknown>, object, string | undefined]>([
    [
      "an address that is published without a claim: it is claimed again",
      (world) => world.service("web", { ...carrying("10.0.0.3"), spec: { externalIPs: ["10.0.0.3"] } }),
      { "10.0.0.3": ["default/web"] },
      "10.0.0.3"
    ],
    [
      "a claim whose maker died before it was published: it is published",
      async (world) => {
        await world.asking("web")
        await claim(world, "10.0.0.3", [entry(world, "web")])
      },
      { "10.0.0.3": ["default/web"] },
      "10.0.0.3"
    ],
    [
      "an address that is claimed and carried, but not shown",
      async (world) => {
        await world.service("web", carrying("10.0.0.3"))
        await claim(world, "10.0.0.3", [entry(world, "web")])
      },
      { "10.0.0.3": ["default/web"] },
      "10.0.0.3"
    ],
    [
      "a surplus claim: it is deleted, never published",
      async (world) => {
        await world.service("web", { ...carrying("10.0.0.3"), spec: { externalIPs: ["10.0.0.3"] } })
        await claim(world, "10.0.0.3", [entry(world, "web")])
        await claim(world, "10.0.0.1", [entry(world, "web")])
      },
      { "10.0.0.3": ["default/web"] },
      "10.0.0.3"
    ],
    [
      "two claims of a Service that carries none: one is published, the other deleted",
      async (world) => {
        await world.asking("web")
        await claim(world, "10.0.0.1", [entry(world, "web")])
        await claim(world, "10.0.0.3", [entry(world, "web")])
      },
      { "10.0.0.1": ["default/web"] },
      "10.0.0.1"
    ],
    [
      "a claim whose Service is gone",
      async (world) => {
        await world.service("web")
        const gone = entry(world, "web")
        await world.deleteService("web")
        await world.service("web")
        await claim(world, "10.0.0.1", [{ ...gone, name: "gone" }])
        await claim(world, "10.0.0.2", [gone])
      },
      {},
      undefined
    ],
    [
      "a claim that names nobody",
      async (world) => {
        await world.service("web")
        await claim(world, "10.0.0.1", [])
      },
      {},
      undefined
    ],
    [
      "a Service that waits while something fits",
      (world) => world.asking("web"),
      { "10.0.0.1": ["default/web"] },
      "10.0.0.1"
    ],
    [
      "a Service that still shows what it no longer asks for",
      (world) =>
        world.service("web", {
          annotations: { "ipcontroller.ext/allocated": "10.0.0.1" },
          spec: { externalIPs: ["10.0.0.1"] }
        }),
      {},
      undefined
    ],
    [
      "an address written by hand that nobody has claimed",
      (world) => world.service("web", { spec: { externalIPs: ["10.0.0.5"] } }),
      { "10.0.0.5": ["default/web"] },
      "10.0.0.5"
    ],
    [
      "an address that two Services show, whose claim names one: the other is given another one",
      async (world) => {
        await world.service("owner", { ...carrying("10.0.0.3"), spec: { externalIPs: ["10.0.0.3"] } })
        await claim(world, "10.0.0.3", [entry(world, "owner")])
        await world.service("web", { ...carrying("10.0.0.3"), spec: { externalIPs: ["10.0.0.3"] } })
      },
      { "10.0.0.3": ["default/owner"], "10.0.0.1": ["default/web"] },
      "10.0.0.1"
    ]
  ])("mends %s", async (_, prepare, held, shown) => {
    const world = await lost(prepare)
    await world.sweep()
    expect(world.held).toEqual(held)
    expect(world.externalIPs("web")).toEqual(shown === undefined ? undefined : [shown])
    // The next one finds nothing, and nothing is written.
    const [before, found] = [world.state, causes(world).length]
    await world.sweep()
    expect(world.state).toBe(before)
    expect(causes(world)).toHaveLength(found)
  })

  it("completes a Service that holds one of its two addresses, when the other one is freed", async () => {
    const world = await lost(async (before) => {
      await before.pool("six", { cidr: "fd00::/125" })
      const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
      await before.asking("owner", "fd00::1", { spec })
      await before.asking("web", "10.0.0.1,fd00::1", { spec })
      await claim(before, "10.0.0.1", [entry(before, "web")])
    })
    await world.start()
    expect(world.carries("web")).toBeUndefined()
    await world.deleteService("owner")
    await world.settle()
    await world.sweep()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1", "fd00::1"])
  })

  it("leaves a claim that is set aside after a conflict until its time has come", async () => {
    const world = await lost((before) =>
      claim(before, "10.0.0.1", [], { phase: "Conflict", retryAt: "2999-01-01T00:00:00Z" })
    )
    await world.sweep()
    expect(Object.keys(world.held)).toEqual(["10.0.0.1"])
    await run(
      world.cluster.api.mergePatch(IpClaim, claimRef("10.0.0.1"), {
        metadata: { annotations: { seen: "yes" } }
      })
    )
    const past = { status: { retryAt: "2020-01-01T00:00:00Z" } }
    await run(world.cluster.api.mergePatch(IpClaim, claimRef("10.0.0.1"), past, { subresource: "status" }))
    await world.sweep()
    expect(world.held).toEqual({})
  })

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
