import { describe, expect, it } from "@effect/vitest"
import { World } from "../../test/support/world.ts"
import type { ServiceParts } from "../domain/objects.fixture.ts"
import { defaultSettings } from "../domain/settings.ts"
import { allocateOnAnnotate } from "./function.ts"

const dual = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
const balancer = { type: "LoadBalancer", allocateLoadBalancerNodePorts: false }
const ask = (what: string, more: object = {}): ServiceParts => ({
  annotations: { "external-ip": what, ...more }
})

const worldWithPools = async (loadBalancers: "default" | "class" = "default") => {
  const world = new World([allocateOnAnnotate({ ...defaultSettings, loadBalancers })])
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.pool("six", { cidr: "fd00::/125" })
  await world.pool("spare", { cidr: "10.9.0.0/29", priority: -1 })
  await world.pool("first", { cidr: "10.5.0.0/29", priority: 5, namespaces: ["shop"] })
  await world.pool("named", { cidr: "10.7.0.0/29", priority: 9, autoAssign: false })
  await world.pool("gold", {
    cidr: "10.8.0.0/29",
    priority: 8,
    serviceSelector: { matchLabels: { tier: "gold" } }
  })
  return world
}

describe("a Service of type ClusterIP", () => {
  it.each<[string, ServiceParts, ReadonlyArray<string>]>([
    ["one address for auto", ask("auto"), ["10.0.0.1"]],
    [
      "one address of its first family for auto, even if it has two",
      { ...ask("auto"), spec: dual },
      ["10.0.0.1"]
    ],
    [
      "an IPv6 address when that is its first family",
      { ...ask("auto"), spec: { ...dual, ipFamilies: ["IPv6", "IPv4"] } },
      ["fd00::1"]
    ],
    ["the address that it names", ask("10.0.0.4"), ["10.0.0.4"]],
    [
      "an address of each family that it names",
      { ...ask("fd00::3, 10.0.0.4"), spec: dual },
      ["fd00::3", "10.0.0.4"]
    ],
    ["an address from the pool that it names", ask("auto", { "external-ip-pool": "spare" }), ["10.9.0.1"]],
    [
      "an address from a pool that is for those who name it",
      ask("auto", { "external-ip-pool": "named" }),
      ["10.7.0.1"]
    ],
    ["an address by name from a pool that is not for everybody", ask("10.7.0.3"), ["10.7.0.3"]],
    ["an address from the pool that selects it", { ...ask("auto"), labels: { tier: "gold" } }, ["10.8.0.1"]]
  ])("is given %s", async (_, parts, want) => {
    const world = await worldWithPools()
    await world.service("web", parts)
    await world.settle()
    expect(world.externalIPs("web")).toEqual(want)
    expect(Object.keys(world.held).toSorted()).toEqual(want.toSorted())
  })

  it("is given an address from the pool of the highest priority that admits its namespace", async () => {
    const world = await worldWithPools()
    await world.asking("shop/web")
    await world.settle()
    expect(world.externalIPs("shop/web")).toEqual(["10.5.0.1"])
  })

  it.each<[string, ServiceParts, string]>([
    ["no address at all", ask("10.0.0.999"), "InvalidAddress: "],
    ["two of one family", ask("10.0.0.1,10.0.0.2"), "InvalidAddress: "],
    ["a family that it does not serve", ask("fd00::3"), "FamilyMismatch: "],
    [
      "an address of no pool",
      ask("172.16.0.1"),
      "AllocationFailed: 172.16.0.1 is in no pool that this Service may use"
    ],
    ["an address of a pool that is for others", ask("10.5.0.1"), "AllocationFailed: 10.5.0.1 is in no pool"],
    [
      "a pool that there is not",
      ask("auto", { "external-ip-pool": "no" }),
      "AllocationFailed: no free IPv4 address"
    ],
    [
      "an address and does not serve (headless)",
      { ...ask("auto"), spec: { clusterIP: "None" } },
      "UnsupportedService: "
    ],
    [
      "an address and is a DNS name only",
      { ...ask("auto"), spec: { type: "ExternalName", externalName: "a.b" } },
      "UnsupportedService: "
    ],
    [
      "an address for another controller's class",
      { ...ask("auto"), spec: { ...balancer, loadBalancerClass: "other/class" } },
      "ForeignLoadBalancerClass: "
    ]
  ])("is told why when it asks for %s", async (_, parts, event) => {
    const world = await worldWithPools()
    await world.service("web", parts)
    await world.settle()
    expect(world.events()).toHaveLength(1)
    expect(world.events()[0]).toContain(event)
    expect(world.held).toEqual({})
    expect(world.externalIPs("web")).toBeUndefined()
  })

  it("hears from each pool why it has nothing", async () => {
    const world = await worldWithPools()
    await world.asking("web", "auto", {
      spec: { ipFamilies: ["IPv6"] },
      annotations: { "external-ip-pool": "lan" }
    })
    await world.settle()
    const [event] = world.events()
    expect(event).toContain("lan has IPv4 addresses, the Service wants IPv6")
    expect(event).toContain("six is not the pool lan that the Service asks for")
  })
})

describe("a Service of type LoadBalancer", () => {
  it.each<[string, ServiceParts, ReadonlyArray<string>]>([
    ["without an annotation, of no class", { spec: balancer }, ["10.0.0.1"]],
    [
      "of our class",
      { spec: { ...balancer, loadBalancerClass: "ipcontroller.ext/external-ip" } },
      ["10.0.0.1"]
    ],
    ["for both of its families", { spec: { ...balancer, ...dual } }, ["10.0.0.1", "fd00::1"]],
    [
      "of its one family, if it is not to have two",
      { spec: { ...balancer, ipFamilies: ["IPv6"] } },
      ["fd00::1"]
    ],
    [
      "that it wishes for in loadBalancerIP",
      { spec: { ...balancer, loadBalancerIP: "10.0.0.5" } },
      ["10.0.0.5"]
    ],
    [
      "from a pool that it names",
      { ...{ annotations: { "external-ip-pool": "spare" } }, spec: balancer },
      ["10.9.0.1"]
    ]
  ])("is given addresses in its ingress %s", async (_, parts, want) => {
    const world = await worldWithPools()
    await world.service("web", parts)
    await world.settle()
    expect(world.now("web").status?.loadBalancer?.ingress).toEqual(want.map((ip) => ({ ip, ipMode: "VIP" })))
    expect(world.externalIPs("web")).toBeUndefined()
    expect(world.carries("web")).toBe(want.join(","))
    expect(world.events()).toEqual([`IPAllocated: Assigned IP ${want.join(", ")}`])
  })

  it("is left alone when it is of another controller's class", async () => {
    const world = await worldWithPools()
    await world.service("web", {
      spec: { ...balancer, loadBalancerClass: "other/class" },
      ingress: [{ ip: "10.0.0.2" }]
    })
    const before = world.state
    await world.settle()
    expect(world.state).toBe(before)
    expect(world.events()).toEqual([])
  })

  it("is left alone without a class, where the administrator says that those are not ours", async () => {
    const world = await worldWithPools("class")
    await world.service("web", { spec: balancer })
    await world.settle()
    expect(world.held).toEqual({})
  })

  it("keeps another controller's entry beside ours", async () => {
    const world = await worldWithPools()
    await world.service("web", { spec: balancer, ingress: [{ hostname: "elb.example" }] })
    await world.settle()
    expect(world.now("web").status?.loadBalancer?.ingress).toEqual([
      { hostname: "elb.example" },
      { ip: "10.0.0.1", ipMode: "VIP" }
    ])
  })

  it("waits for both families where it requires both", async () => {
    const world = new World([allocateOnAnnotate(defaultSettings)])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.service("web", { spec: { ...balancer, ...dual, ipFamilyPolicy: "RequireDualStack" } })
    await world.settle()
    expect(world.held).toEqual({})
    await world.pool("six", { cidr: "fd00::/125" })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1", "fd00::1"])
  })

  it("moves its address from externalIPs to the ingress when it becomes one", async () => {
    const world = await worldWithPools()
    await world.asking("web")
    await world.settle()
    await world.edit("web", { spec: { type: "LoadBalancer" } })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
    expect(world.externalIPs("web")).toBeUndefined()
    expect(Object.keys(world.held)).toEqual(["10.0.0.1"])
  })
})
