import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Conflict, type FunctionDefinition, type KubeFailure, Unavailable } from "#runtime"
import { testLink } from "#testkit"
import { failing, killedAfter, upon } from "../../test/support/faults.ts"
import { doubled } from "../../test/support/invariants.ts"
import { all, only, run, World } from "../../test/support/world.ts"
import { claimName } from "../domain/addresses.ts"
import { IpClaim } from "../domain/kinds.ts"
import type { ServiceParts } from "../domain/objects.fixture.ts"
import { defaultSettings } from "../domain/settings.ts"
import { moveOnConflict } from "./function.ts"

const mover = moveOnConflict(defaultSettings)
const foreign = "02:99:00:00:00:07"

/** A Service with an address that is placed on a node, but not bound yet. */
const given = async (parts: ServiceParts & { readonly ask?: string } = {}, options: object = {}) => {
  const world = new World(all, options)
  world.cluster.fleet.join("n1", [testLink()])
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  const { ask = "auto", ...rest } = parts
  await (parts.spec?.type === "LoadBalancer" ? world.service("web", rest) : world.asking("web", ask, rest))
  await world.settle()
  return world
}
const report = (world: World, address: string, what: "bound" | "conflict", at = Date.now()) => {
  const { fleet } = world.cluster
  const term = fleet.placements.get(claimName(address))?.term ?? 9
  fleet.report({ claim: claimName(address), address, node: "n1", what, term, at, foreign })
}
const disputed = (world: World, address = "10.0.0.1") => {
  report(world, address, "conflict")
  return world.settle()
}

describe("move-on-conflict", () => {
  it("has a Service that asked for any address given another one, and sets the disputed one aside", async () => {
    const world = await given()
    await disputed(world)
    expect(world.externalIPs("web")).toEqual(["10.0.0.2"])
    expect(world.held).toEqual({ "10.0.0.1": [], "10.0.0.2": ["default/web"] })
    expect(world.claim("10.0.0.1").status).toMatchObject({ phase: "Conflict" })
    expect(world.cluster.fleet.placements.has("10-0-0-1")).toBe(false)
    expect(world.events("services/default/web")).toEqual([
      "IPAllocated: Assigned IP 10.0.0.1",
      `AddressConflict: another machine (${foreign}) answers for 10.0.0.1`,
      `ClearAssignment: Cleared 10.0.0.1 for another one: another machine (${foreign}) answers for 10.0.0.1`,
      "IPAllocated: Assigned IP 10.0.0.2"
    ])
  })

  it("gives the disputed address to nobody until its time has come", async () => {
    const world = await given()
    await disputed(world)
    await world.sweep()
    await world.asking("other")
    await world.settle()
    expect(world.externalIPs("other")).toEqual(["10.0.0.3"])
    const past = { status: { retryAt: "2020-01-01T00:00:00Z" } }
    const ref = { namespace: "", name: "10-0-0-1" }
    world.cluster.fleet.wipe()
    await run(world.cluster.api.mergePatch(IpClaim, ref, past, { subresource: "status" }))
    await world.sweep()
    await world.asking("third")
    await world.settle()
    expect(world.externalIPs("third")).toEqual(["10.0.0.1"])
  })

  it("moves a LoadBalancer out of its ingress", async () => {
    const world = await given({ spec: { type: "LoadBalancer" } })
    await disputed(world)
    expect(world.ingress("web")).toEqual(["10.0.0.2"])
  })

  it("lets the other family's address be of a Service with two", async () => {
    const spec = { type: "LoadBalancer", ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    const world = await given({ spec })
    await world.pool("six", { cidr: "fd00::/125" })
    await world.service("both", { spec })
    await world.settle()
    expect(world.ingress("both")).toEqual(["10.0.0.2", "fd00::1"])
    report(world, "fd00::1", "bound")
    await disputed(world, "10.0.0.2")
    expect(world.ingress("both")).toEqual(["10.0.0.3", "fd00::1"])
  })

  it.each<[string, ServiceParts & { readonly ask?: string }]>([
    ["was asked for by name", { ask: "10.0.0.1" }],
    ["was written by hand", { ask: "10.0.0.1", spec: { externalIPs: ["10.0.0.1"] } }],
    ["is a LoadBalancer's wish", { spec: { type: "LoadBalancer", loadBalancerIP: "10.0.0.1" } }]
  ])("leaves an address that %s, for it to be tried again", async (_, parts) => {
    const world = await given(parts)
    await disputed(world)
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.claim("10.0.0.1").status?.phase).toBe("Conflict")
  })

  it("leaves an address that was bound before another machine took it", async () => {
    const world = await given()
    report(world, "10.0.0.1", "bound")
    await world.settle()
    await disputed(world)
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.claim("10.0.0.1").status).toMatchObject({ phase: "Conflict" })
    expect(world.claim("10.0.0.1").status?.node).toBeUndefined()
  })

  it("leaves the address while there is no other, and moves the Service when there is", async () => {
    const world = await given()
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.1"]] })
    await disputed(world)
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    await world.editPool("lan", { ranges: [["10.0.0.1", "10.0.0.2"]] })
    report(world, "10.0.0.1", "conflict", Date.now() + 60_000)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": [], "10.0.0.2": ["default/web"] })
  })

  it("moves each of the Services that share the address", async () => {
    const world = await given({ annotations: { "external-ip-share": "k" } })
    const ports = [{ port: 443, protocol: "TCP" }]
    await world.asking("other", "auto", { annotations: { "external-ip-share": "k" }, spec: { ports } })
    await world.settle()
    await disputed(world)
    expect(world.held["10.0.0.1"]).toEqual([])
    expect([world.externalIPs("web"), world.externalIPs("other")]).toEqual([["10.0.0.2"], ["10.0.0.2"]])
  })

  it("asks the API server first: an address that was bound meanwhile stays", async () => {
    let world: World
    const bound = () =>
      run(
        world.cluster.api.mergePatch(
          IpClaim,
          { namespace: "", name: "10-0-0-1" },
          { status: { phase: "Bound", boundAt: "2026-01-01T00:00:00Z" } },
          { subresource: "status" }
        )
      )
    const before = await given()
    world = before.another([mover], { through: upon("get IpClaim", () => bound()) })
    const status = { phase: "Conflict" }
    await run(
      before.cluster.api.mergePatch(
        IpClaim,
        { namespace: "", name: "10-0-0-1" },
        { status },
        { subresource: "status" }
      )
    )
    await world.settle()
    expect(world.ended("move-on-conflict")).toEqual(["Done"])
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })

  it("does it once, though two hosts do it at the same time: one of them loses", async () => {
    const world = await given()
    const others = only("record-on-bind")
    const recorder = world.another(others)
    const [one, two] = [world.another([mover]), world.another([mover])]
    report(world, "10.0.0.1", "conflict")
    world.cluster.goStale()
    await recorder.settle()
    await Promise.all([one.settle(), two.settle()])
    expect([...one.ended("move-on-conflict"), ...two.ended("move-on-conflict")]).toContain("Again")
    world.cluster.catchUp()
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": [], "10.0.0.2": ["default/web"] })
  })

  it.each([0, 1, 2, 3, 4, 5])("is completed by others when it dies after %i writes", async (writes) => {
    const before = await given()
    const dying = before.another(all, { through: killedAfter(writes) })
    before.cluster.goStale()
    report(before, "10.0.0.1", "conflict")
    await dying.settle()
    const next = before.another(all)
    await next.start()
    await next.sweep()
    await next.sweep()
    expect(doubled(next)).toEqual([])
    expect(next.externalIPs("web")).toEqual(["10.0.0.2"])
    expect(next.held["10.0.0.2"]).toEqual(["default/web"])
    expect(next.held["10.0.0.1"] ?? []).toEqual([])
  })

  it("writes nothing when it is run twice", async () => {
    const world = await given()
    await disputed(world)
    const before = world.state
    await world.start()
    expect(world.state).toBe(before)
  })

  it("does nothing about a claim that is gone, or whose Service is", async () => {
    const world = await given()
    const blind = world.another([mover])
    await disputed(world)
    await world.deleteService("web")
    await run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))
    await blind.settle()
    expect(blind.ended("move-on-conflict").filter((ended) => ended !== "Gone")).toEqual([])
  })

  it.each<[string, string, KubeFailure]>([
    ["cannot read the claim", "get IpClaim", new Unavailable({ operation: "", detail: "" })],
    ["cannot read the Service", "get Service", new Unavailable({ operation: "", detail: "" })],
    ["cannot change the Service", "mergePatch Service", new Conflict({ operation: "", detail: "" })]
  ])("tries again when it %s", async (_, call, failure) => {
    const world = await given()
    const failures: Array<KubeFailure> = [failure]
    const another = world.another([mover], { through: failing(call, failures) })
    await disputed(world.another(only("record-on-bind", "assign-on-claim")))
    await another.settle()
    expect(another.ended("move-on-conflict")).toEqual(["Again", "Done"])
    expect(world.held["10.0.0.1"]).toEqual([])
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof mover extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
