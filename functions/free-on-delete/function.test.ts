import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { Conflict, type FunctionDefinition, Unavailable } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { all, allWith, World } from "../../test/support/world.ts"
import type { ServiceParts } from "../domain/objects.fixture.ts"
import { defaultSettings } from "../domain/settings.ts"
import { freeOnDelete } from "./function.ts"

const free = freeOnDelete(defaultSettings)
const balancer = { type: "LoadBalancer" }

const served = async (parts: ServiceParts = { annotations: { "external-ip": "auto" } }, through?: any) => {
  const world = new World(all, through && { through })
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.pool("spare", { cidr: "10.9.0.0/29", priority: -1 })
  await world.service("web", parts)
  await world.settle()
  return world
}

describe("free-on-delete", () => {
  it("frees the address of a Service that is deleted", async () => {
    const world = await served()
    await world.deleteService("web")
    await world.settle()
    expect(world.held).toEqual({})
  })

  it("frees the address of a Service that stops asking, and takes it off", async () => {
    const world = await served()
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.held).toEqual({})
    expect(world.externalIPs("web")).toBeUndefined()
    expect(world.carries("web")).toBeUndefined()
    expect(world.events("services/default/web")).toEqual([
      "IPAllocated: Assigned IP 10.0.0.1",
      "ClearAssignment: Cleared the external IP"
    ])
  })

  it("gives back what it takes: the next one that asks has it", async () => {
    const world = await served()
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    await world.asking("other")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/other"] })
  })

  it.each<[string, object, string]>([
    ["asks for a certain address instead", { "external-ip": "10.0.0.4" }, "10.0.0.4"],
    ["asks for another pool", { "external-ip-pool": "spare" }, "10.9.0.1"]
  ])("changes the address of a Service that %s", async (_, annotations, want) => {
    const world = await served()
    await world.annotate("web", { ...annotations })
    await world.settle()
    expect(world.externalIPs("web")).toEqual([want])
    expect(world.held).toEqual({ [want]: ["default/web"] })
  })

  it.each<[string, object]>([
    ["asks by name for the address that it has", { "external-ip": "10.0.0.1" }],
    ["names the pool that it has its address from", { "external-ip-pool": "lan" }],
    ["makes a typing error in what it asks for", { "external-ip": "10.0.0.1000" }],
    ["gets another annotation that does not concern us", { team: "a" }]
  ])("leaves the address with a Service that %s", async (_, annotations) => {
    const world = await served()
    await world.annotate("web", { ...annotations })
    await world.settle()
    await world.sweep()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("leaves the user's own externalIPs", async () => {
    const world = await served({
      annotations: { "external-ip": "auto" },
      spec: { externalIPs: ["198.51.100.7"] }
    })
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["198.51.100.7"])
  })

  it.each<[string, object, ReadonlyArray<object>]>([
    // The API server itself takes it all.
    ["becomes a Service of type ClusterIP", { type: "ClusterIP" }, []],
    [
      "gets another controller's class",
      { loadBalancerClass: "other/class" },
      [{ ip: "203.0.113.9" }, { hostname: "elb.example" }]
    ]
  ])("takes the ingress off a LoadBalancer that %s, but for what is not ours", async (_, spec, left) => {
    const foreign = [{ ip: "203.0.113.9" }, { hostname: "elb.example" }]
    const world = await served({ spec: balancer, ingress: foreign })
    const ours = { ip: "10.0.0.1", ipMode: "VIP" }
    expect(world.now("web").status?.loadBalancer?.ingress).toEqual([...foreign, ours])
    await world.edit("web", { spec })
    await world.settle()
    expect(world.now("web").status?.loadBalancer?.ingress ?? []).toEqual(left)
    expect(world.held).toEqual({})
    expect(world.carries("web")).toBeUndefined()
  })

  it("takes its address off a LoadBalancer that was replaced by one without any annotation", async () => {
    const world = new World(allWith({ loadBalancers: "class" }))
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web", "auto", { spec: balancer, ingress: [{ ip: "203.0.113.9" }] })
    await world.settle()
    await world.bound("10.0.0.1")
    expect(world.ingress("web")).toEqual(["203.0.113.9", "10.0.0.1"])
    await world.annotate("web", { "external-ip": null, "ipcontroller.ext/allocated": null })
    await world.settle()
    expect(world.ingress("web")).toEqual(["203.0.113.9"])
    expect(world.held).toEqual({})
    expect(world.events("services/default/web").at(-1)).toBe("ClearAssignment: Cleared the external IP")
  })

  it("treats a Service that was created again under its name as another one", async () => {
    const world = await served()
    const old = world.now("web").metadata.uid
    await world.deleteService("web")
    await world.service("web", { annotations: { "external-ip": "auto" } })
    await world.settle()
    const { uid } = world.now("web").metadata
    expect(uid).not.toBe(old)
    expect(Object.values(world.held)).toEqual([["default/web"]])
    expect(world.claim(world.carries("web")!).spec.services).toEqual([expect.objectContaining({ uid })])
  })

  it("frees the old one's address when it is created again and asks for nothing", async () => {
    const world = await served()
    await world.deleteService("web")
    await world.service("web")
    await world.settle()
    expect(world.held).toEqual({})
  })

  it("keeps one family's address, and frees the other's, when the Service gives up a family", async () => {
    const spec = { ...balancer, ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    const world = new World(all)
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.pool("six", { cidr: "fd00::/125" })
    await world.service("web", { spec })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1", "fd00::1"])
    await world.edit("web", { spec: { ipFamilies: ["IPv4"], ipFamilyPolicy: "SingleStack" } })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
    expect(world.carries("web")).toBe("10.0.0.1")
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("writes nothing when it is run twice", async () => {
    const world = await served()
    await world.deleteService("web")
    await world.settle()
    const before = world.state
    await world.start()
    expect(world.state).toBe(before)
  })

  it("does nothing about a Service that holds nothing", async () => {
    const world = new World([free])
    await world.service("web")
    await world.settle()
    expect(world.cluster.runs).toEqual([
      {
        function: "free-on-delete",
        target: "services/default/web",
        ended: { _tag: "Done", decision: undefined }
      }
    ])
  })

  it.each([
    ["cannot read the Service", "get Service", new Unavailable({ operation: "", detail: "" })],
    ["cannot change the Service", "mergePatch Service", new Conflict({ operation: "", detail: "" })],
    ["cannot delete the claim", "remove IpClaim", new Unavailable({ operation: "", detail: "" })]
  ])("tries again when it %s", async (_, call, failure) => {
    const failures: Array<typeof failure> = []
    const world = await served(undefined, failing(call, failures))
    failures.push(failure)
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.ended("free-on-delete")).toContain("Again")
    expect(world.held).toEqual({})
    expect(world.externalIPs("web")).toBeUndefined()
    expect(world.events("services/default/web")).toHaveLength(2)
  })

  it("clears a status of its own accord where it is wrong, whatever type the Service has become", async () => {
    const world = await served({ spec: balancer })
    await world.edit("web", { spec: { type: "ExternalName", externalName: "a.b" } })
    await world.settle()
    expect(world.ingress("web")).toEqual([])
    expect(world.held).toEqual({})
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof free extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "Conflict" | "AlreadyExists" | "NotFound" | "Forbidden" | "Invalid" | "Unavailable"
    >()
  })
})
