import { describe, expect, it } from "@effect/vitest"
import { counting } from "../../test/support/faults.ts"
import { all, newStore, run, World } from "../../test/support/world.ts"
import { IpClaim, IpClaimPool, Service } from "../domain/kinds.ts"
import { allocatedLimit } from "../domain/publishing.ts"

const lan = { cidr: "10.0.0.0/29" }
const carried = { "ipcontroller.ext/allocated": "10.0.0.3" }
const balancer = { type: "LoadBalancer" }

const served = async () => {
  const world = new World(all)
  await world.pool("lan", lan)
  await world.asking("web")
  await world.asking("other")
  await world.settle()
  return world
}

describe("an address that was given", () => {
  it.each<[string, (world: World) => Promise<unknown>]>([
    ["its pool shrinks", (world) => world.editPool("lan", { ranges: [["10.0.0.4", "10.0.0.5"]] })],
    ["its pool becomes invalid", (world) => world.editPool("lan", { cidr: "10.0.0.1/29" })],
    ["its pool gets another cidr", (world) => world.editPool("lan", { cidr: "10.1.0.0/29" })],
    ["its pool admits others only", (world) => world.editPool("lan", { namespaces: ["elsewhere"] })],
    ["its pool is deleted", (world) => world.deletePool("lan")],
    ["a better pool appears", (world) => world.pool("better", { cidr: "10.9.0.0/29", priority: 9 })],
    ["an older Service begins to ask", (world) => world.asking("another")],
    ["another Service is deleted", (world) => world.deleteService("other")],
    ["the processes are restarted", (world) => world.another().start()],
    ["the sweep runs", (world) => world.sweep()]
  ])("stays when %s", async (_, happens) => {
    const world = await served()
    const before = world.now("web")
    const claim = world.claim("10.0.0.1")
    await happens(world)
    await world.settle()
    await world.sweep()
    expect(world.now("web")).toEqual(before)
    expect(world.claim("10.0.0.1")).toEqual(claim)
  })

  it("is put back when a client-side apply drops it, and the user's own entries stay", async () => {
    const world = await served()
    await world.edit("web", { spec: { externalIPs: ["198.51.100.7"] } })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["198.51.100.7", "10.0.0.1"])
    await world.edit("web", { spec: { externalIPs: null } })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })

  it("is put back when another controller writes the ingress anew", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("web", { spec: balancer })
    await world.settle()
    await world.writeIngress("web", [{ hostname: "elb.example" }])
    await world.settle()
    expect(world.now("web").status?.loadBalancer?.ingress).toEqual([
      { hostname: "elb.example" },
      { ip: "10.0.0.1", ipMode: "VIP" }
    ])
  })

  it("gets its claim back when that was deleted", async () => {
    const world = await served()
    await run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))
    await world.sweep()
    expect(world.held["10.0.0.1"]).toEqual(["default/web"])
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })
})

describe("an address that a Service shows already", () => {
  it.each<[string, Parameters<World["service"]>[1]]>([
    ["in the annotation of a former life of ours", { annotations: { "external-ip": "auto", ...carried } }],
    [
      "in externalIPs, from the original controller",
      { annotations: { "external-ip": "auto" }, spec: { externalIPs: ["10.0.0.3"] } }
    ],
    ["in its ingress, from MetalLB", { spec: balancer, ingress: [{ ip: "10.0.0.3" }] }]
  ])("is adopted: %s", async (_, parts) => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("web", parts)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
    expect(world.carries("web")).toBe("10.0.0.3")
    expect([...(world.externalIPs("web") ?? []), ...world.ingress("web")]).toEqual(["10.0.0.3"])
  })

  it("is not adopted when another Service holds it: it is given another one", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.asking("owner", "10.0.0.3")
    await world.settle()
    await world.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.3" }] })
    await world.settle()
    expect(world.carries("web")).toBe("10.0.0.1")
    expect(world.held["10.0.0.3"]).toEqual(["default/owner"])
  })

  it("is one of thousands in an annotation that somebody wrote: the others are gone, few of them looked up", async () => {
    const calls = new Map<string, number>()
    const world = new World(all, { through: counting(calls) })
    await world.pool("lan", { cidr: "10.0.0.0/16" })
    const list = Array.from({ length: 4000 }, (_, index) => `10.0.${index >> 7}.${(index % 128) + 1}`)
    await world.asking("web", "auto", { annotations: { "ipcontroller.ext/allocated": list.join() } })
    await world.settle()
    expect([world.carries("web"), world.externalIPs("web")]).toEqual(["10.0.0.1", ["10.0.0.1"]])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(calls.get("get IpClaim")).toBe(allocatedLimit - 1)
  })

  it("is taken off a Service whose annotation was copied from the one that holds it", async () => {
    const world = await served()
    const { annotations = {} } = world.now("web").metadata
    await world.service("copy", { annotations, spec: { externalIPs: world.externalIPs("web")! } })
    await world.settle()
    expect(world.externalIPs("copy")).toEqual(["10.0.0.3"])
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.held["10.0.0.1"]).toEqual(["default/web"])
    expect(world.events("services/default/copy")[0]).toContain("AllocationFailed: 10.0.0.1 is held by")
  })
})

/** The same objects in a new cluster, as a backup restores them: with other uids, claims first or last. */
const restored = async (world: World, order: "claims first" | "Services first") => {
  const copy = new World(all, { api: newStore() })
  const kinds = order === "claims first" ? [IpClaimPool, IpClaim, Service] : [IpClaimPool, Service, IpClaim]
  for (const kind of kinds) {
    for (const object of world.cluster.all<any>(kind)) {
      const { resourceVersion: _, ...metadata } = object.metadata
      // What is there by then is left as it is, as restoring tools do.
      await run(copy.cluster.create<any>(kind, { ...object, metadata })).catch(() => undefined)
    }
    // As it happens: whoever is quick acts on what is there already.
    if (order === "Services first") await copy.settle()
  }
  await copy.settle()
  await copy.sweep()
  return copy
}

describe("a backup that is restored", () => {
  it.each(["claims first", "Services first"] as const)("moves no address, %s", async (order) => {
    const world = await served()
    const copy = await restored(world, order)
    expect(copy.held).toEqual(world.held)
    for (const name of ["web", "other"]) {
      expect(copy.externalIPs(name)).toEqual(world.externalIPs(name))
      expect(copy.claim(copy.carries(name)!).spec.services?.[0]?.uid).toBe(copy.now(name).metadata.uid)
    }
  })

  it("moves no shared address", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    const share = { "external-ip-share": "k" }
    await world.asking("dns-tcp", "auto", {
      annotations: share,
      spec: { ports: [{ port: 53, protocol: "TCP" }] }
    })
    await world.asking("dns-udp", "auto", {
      annotations: share,
      spec: { ports: [{ port: 53, protocol: "UDP" }] }
    })
    await world.settle()
    const copy = await restored(world, "claims first")
    expect(copy.troubles).toEqual([])
    expect(copy.externalIPs("dns-tcp")).toEqual(["10.0.0.1"])
    expect(copy.externalIPs("dns-udp")).toEqual(["10.0.0.1"])
    expect(copy.held["10.0.0.1"]?.toSorted()).toEqual(["default/dns-tcp", "default/dns-udp"])
    const uids = ["dns-tcp", "dns-udp"].map((name) => copy.now(name).metadata.uid)
    expect(
      copy
        .claim("10.0.0.1")
        .spec.services?.map(({ uid }) => uid)
        .toSorted()
    ).toEqual(uids.toSorted())
  })
})
