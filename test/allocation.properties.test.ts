import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { killedAfter, Turns } from "./support/faults.ts"
import { doubled, faults } from "./support/invariants.ts"
import { all, World } from "./support/world.ts"

const names = ["a", "b", "c", "d"]
const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31 }))
/** What a user does next, and to which Service. */
const Act = Schema.Struct({
  what: Schema.Literals(["ask", "ask", "ask", "name", "stop", "delete", "retype"]),
  whom: Small
})
type Act = typeof Act.Type
const Acts = Schema.Array(Act).check(Schema.isBetweenLength(1, 8))
const Choices = Schema.Array(Small).check(Schema.isBetweenLength(1, 40))

const lan = { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.3"]] } as const

const act = async (world: World, { what, whom }: Act): Promise<unknown> => {
  const name = names[whom % names.length]!
  const isThere = world.cluster.api
    .list({ group: "", version: "v1", kind: "Service", plural: "services", namespaced: true })
    .some(({ metadata }) => metadata.name === name)
  if (!isThere) return what === "ask" ? world.asking(name) : undefined
  switch (what) {
    case "ask":
      return world.annotate(name, { "external-ip": "auto" })
    case "name":
      return world.annotate(name, { "external-ip": `10.0.0.${1 + (whom % 3)}` })
    case "stop":
      return world.annotate(name, { "external-ip": null })
    case "delete":
      return world.deleteService(name)
    case "retype":
      return world.edit(name, { spec: { type: whom % 2 === 0 ? "LoadBalancer" : "ClusterIP" } })
  }
}

/** A store with a pool and what these acts made of it, on which nobody has run yet. */
const worldAfter = async (acts: ReadonlyArray<Act>): Promise<World> => {
  const world = new World([])
  await world.pool("lan", lan)
  for (const one of acts) await act(world, one)
  return world
}

const property = (run: () => Promise<void>) => Effect.promise(run)

describe("the allocator", () => {
  const losses = new Set<string>()

  it.effect.prop(
    "gives no address to two, and none twice, however two hosts with stale views take turns",
    [Acts, Acts, Choices],
    ([before, meanwhile, choices]) =>
      property(async () => {
        const world = await worldAfter(before)
        const turns = new Turns()
        const hosts = [world.another(all, turns), world.another(all, turns)]
        for (const { cluster } of hosts) cluster.wakeAll()
        hosts[1]!.cluster.goStale()
        // The user is one of those who take turns.
        const using = async () => {
          for (const one of meanwhile) {
            await turns.turn()
            await act(world, one)
          }
        }
        const seen: Array<string> = []
        world.cluster.api.watch(() => seen.push(...doubled(world)))
        await turns.play([...hosts.map((host) => host.settle(3)), using()], choices)
        hosts[1]!.cluster.catchUp()
        await turns.play(
          hosts.map((host) => host.settle(3)),
          choices
        )
        await world.another().sweep()
        expect([seen, faults(world)]).toEqual([[], []])
        for (const host of hosts) for (const trouble of host.troubles) losses.add(trouble.replace(/.*: /, ""))
      }),
    { arbitrary: { runs: 100 } }
  )

  it("was really raced by the hosts: some of them lost an address, others a Service", () => {
    const lost = [...losses].join("\n")
    expect(lost).toContain("was taken by another allocator meanwhile")
    expect(lost).toContain("it changed meanwhile")
  })

  it.effect.prop(
    "leaks and doubles nothing wherever a host dies, after one sweep of another",
    [Acts, Acts, Small, Small],
    ([before, meanwhile, writes, concurrency]) =>
      property(async () => {
        const world = await worldAfter(before)
        const dies = world.another(all, { through: killedAfter(writes) })
        dies.cluster.wakeAll()
        await dies.settle(1 + (concurrency % 3))
        for (const one of meanwhile) await act(world, one)
        await dies.settle(1 + (concurrency % 3))
        expect(doubled(world)).toEqual([])
        await world.another().sweep()
        expect(faults(world)).toEqual([])
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect.prop(
    "leaks and doubles nothing wherever a host dies that takes turns with one that goes on",
    [Acts, Choices, Small],
    ([acts, choices, writes]) =>
      property(async () => {
        const world = await worldAfter(acts)
        const turns = new Turns()
        const dying = killedAfter(writes % 8)
        const dies = world.another(all, { through: (api) => turns.through(dying(api)) })
        const lives = world.another(all, turns)
        for (const { cluster } of [dies, lives]) cluster.wakeAll()
        dies.cluster.goStale()
        await turns.play([dies.settle(2), lives.settle(2)], choices)
        await turns.play([lives.settle()], choices)
        await world.another().sweep()
        expect(faults(world)).toEqual([])
      }),
    { arbitrary: { runs: 60 } }
  )

  it.effect.prop(
    "gives a released address back to the next one that asks",
    [Acts],
    ([acts]) =>
      property(async () => {
        const world = new World()
        await world.pool("lan", { cidr: "10.0.0.0/28" })
        for (const one of acts) await act(world, one)
        await world.settle()
        await world.asking("guest")
        await world.settle()
        const [given, before] = [world.carries("guest"), Object.keys(world.held).length]
        await world.annotate("guest", { "external-ip": null })
        await world.settle()
        expect(Object.keys(world.held)).toHaveLength(before - 1)
        await world.asking("next")
        await world.settle()
        expect(world.carries("next")).toBe(given)
      }),
    { arbitrary: { runs: 30 } }
  )
})

describe("every write of a Service's whole life", () => {
  /** Two Services are served, one asks for something else, one is deleted and created again, one stops asking. */
  const live = async (host: World, world: World) => {
    await world.asking("a")
    await world.service("b", { spec: { type: "LoadBalancer" } })
    await host.settle()
    await world.annotate("a", { "external-ip": "10.0.0.3" })
    await host.settle()
    await world.deleteService("b")
    await world.asking("b")
    await host.settle()
    await world.annotate("a", { "external-ip": null })
    await host.settle()
  }

  it("may be a host's last: one sweep of another leaves nothing leaked and nothing doubled", async () => {
    let writes = 0
    for (; ; writes++) {
      const world = new World([])
      await world.pool("lan", lan)
      const host = world.another(all, { through: killedAfter(writes) })
      await live(host, world)
      const survived = host.troubles.length === 0
      expect([writes, doubled(world)]).toEqual([writes, []])
      await world.another().sweep()
      expect([writes, faults(world)]).toEqual([writes, []])
      if (survived) break
    }
    expect(writes).toBeGreaterThan(15)
  })
})
