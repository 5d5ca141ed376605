import { describe, expect, it } from "@effect/vitest"
import { all, run, World } from "../../test/support/world.ts"
import { IpClaim } from "../domain/kinds.ts"
import { carrying, causes, claim, claimRef, entry, lost } from "./drifts.fixture.ts"

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

  it.each([
    ["with a key to share it", { "external-ip-share": "k" }],
    ["without", {}]
  ])(
    "leaves one that has the one of its two addresses by hand, %s, until the other is free",
    async (_, annotations) => {
      const spec = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
      const world = new World(all)
      await world.pool("lan", { cidr: "10.0.0.0/29" })
      await world.pool("six", { cidr: "fd00::/125" })
      await world.service("owner", { annotations: { "external-ip": "fd00::1" }, spec })
      const byHand = { ...spec, externalIPs: ["10.0.0.1"] }
      await world.asking("web", "10.0.0.1,fd00::1", { annotations, spec: byHand })
      await world.settle()
      await world.sweep()
      expect(causes(world)).toEqual([])
      await world.deleteService("owner")
      await world.settle()
      await world.sweep()
      expect(world.carries("web")).toBe("10.0.0.1,fd00::1")
      const found = causes(world).length
      await world.sweep()
      expect(causes(world)).toHaveLength(found)
    }
  )

  it("leaves what was given to a Service that has it by hand by now, and has another one", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web", "10.0.0.1")
    await world.settle()
    await world.annotate("web", { "external-ip": "10.0.0.2", "ipcontroller.ext/allocated": null })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"], "10.0.0.2": ["default/web"] })
    await world.sweep()
    expect(causes(world)).toEqual([])
  })

  it("leaves one that needs an address of each family and could share only the one", async () => {
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    const key = { "external-ip-share": "k" }
    await world.asking("owner", "10.0.0.1", { annotations: key })
    const spec = {
      type: "LoadBalancer",
      ipFamilies: ["IPv4", "IPv6"],
      ipFamilyPolicy: "RequireDualStack",
      ports: [{ port: 81, protocol: "TCP" }]
    }
    await world.service("web", { annotations: key, spec })
    await world.settle()
    await world.sweep()
    expect(causes(world)).toEqual([])
    await world.pool("six", { cidr: "fd00::/125" })
    await world.settle()
    await world.sweep()
    expect(world.carries("web")).toBe("10.0.0.1,fd00::1")
  })

  it.each<[string, string, object]>([
    ["is listed by hand", "external", {}],
    ["is carried", "allocated", carrying("10.0.0.5")]
  ])("enters the present ports into the claim of an address that %s", async (_, origin, annotated) => {
    const world = await lost(async (before) => {
      await before.service("web", { ...annotated, spec: { externalIPs: ["10.0.0.5"] } })
      await claim(before, "10.0.0.5", [
        entry(before, "web", { origin, ports: [{ port: 79, protocol: "TCP" }] })
      ])
    })
    await world.sweep()
    expect(world.claim("10.0.0.5").spec.services).toMatchObject([{ origin, ports: [{ port: 80 }] }])
    await world.sweep()
    expect(causes(world)).toEqual(["found 1 drifts"])
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
})
