import { describe, expect, it } from "@effect/vitest"
import { upon } from "../../test/support/faults.ts"
import { all, allWith, run, World } from "../../test/support/world.ts"
import { IpClaim, Namespace } from "../domain/kinds.ts"

const lan = { cidr: "10.0.0.0/29" }
const balancer = { type: "LoadBalancer" }

describe("an address that a LoadBalancer shows already", () => {
  it("is given to nobody who is older and has none", async () => {
    const world = new World(all)
    await world.service("pending", { spec: balancer })
    await world.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    await world.settle()
    await world.pool("lan", lan)
    await world.settle()
    await world.sweep()
    expect({ web: world.ingress("web"), pending: world.ingress("pending") }).toEqual({
      web: ["10.0.0.1"],
      pending: ["10.0.0.2"]
    })
  })

  it("is given to nobody who is younger and is looked at first", async () => {
    const setup = new World([])
    await setup.pool("lan", lan)
    await setup.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    const world = setup.another(all)
    await world.asking("younger")
    await world.start()
    expect({ web: world.ingress("web"), younger: world.externalIPs("younger") }).toEqual({
      web: ["10.0.0.1"],
      younger: ["10.0.0.2"]
    })
  })
})

describe("an address that another controller gave to a Service that asks us for nothing", () => {
  const elsewhere = { spec: { ...balancer, loadBalancerClass: "other/class" } }
  const withTheirs = async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("theirs", { ...elsewhere, ingress: [{ ip: "10.0.0.1" }] })
    await world.settle()
    return world
  }

  it("is given to nobody, whether he asks for any, for this one, or lists it", async () => {
    const world = await withTheirs()
    await world.asking("any")
    await world.asking("named", "10.0.0.1")
    await world.service("lists", { spec: { externalIPs: ["10.0.0.1"] } })
    await world.settle()
    const why = "10.0.0.1 is shown by Service default/theirs, to which another controller gave it"
    expect(world.externalIPs("any")).toEqual(["10.0.0.2"])
    expect(world.events("services/default/named")).toEqual([`AllocationFailed: ${why}`])
    expect(world.events("services/default/lists")).toEqual([`ExternalIPRefused: spec.externalIPs: ${why}`])
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.2": ["default/any"] })
    expect(world.ingress("theirs")).toEqual(["10.0.0.1"])
  })

  it("is given to nobody either when its claim names nobody, as after a conflict with that controller", async () => {
    const world = await withTheirs()
    await run(
      world.cluster.create(IpClaim, {
        metadata: { name: "10-0-0-1" },
        spec: { cidr: "10.0.0.1/32", pool: "lan", services: [] },
        status: { phase: "Conflict", retryAt: "2999-01-01T00:00:00Z" }
      })
    )
    await world.asking("named", "10.0.0.1")
    await world.settle()
    expect(world.externalIPs("named")).toBeUndefined()
  })

  it("is free when that Service is gone", async () => {
    const world = await withTheirs()
    await world.asking("named", "10.0.0.1")
    await world.settle()
    await world.deleteService("theirs")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/named"] })
  })

  it("is free when that Service shows it no more, by the next sweep", async () => {
    const world = await withTheirs()
    await world.asking("named", "10.0.0.1")
    await world.settle()
    await world.writeIngress("theirs", [{ hostname: "elb.example" }])
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/named"] })
  })

  it("is counted in the pool's status, and in why it has none left, by the next sweep", async () => {
    const world = new World(all)
    await world.pool("one", { cidr: "10.0.0.1/32" })
    await world.settle()
    await world.service("theirs", { ...elsewhere, ingress: [{ ip: "10.0.0.1" }] })
    await world.asking("any")
    await world.settle()
    await world.sweep()
    expect(world.events("services/default/any")).toEqual([
      "AllocationFailed: no free IPv4 address: one has no free address (0 of 1 in use, 1 forbidden or taken by others)"
    ])
    expect(world.poolNow("one").status).toMatchObject({ used: 0, available: 0, capacity: 1 })
    await world.writeIngress("theirs", [])
    await world.sweep()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/any"] })
    expect(world.poolNow("one").status).toMatchObject({ used: 1, available: 0 })
  })

  it.each(["auto", "10.0.0.1"])("is its own when it asks for it: %s", async (what) => {
    const world = new World(allWith({ loadBalancers: "class" }))
    await world.pool("lan", lan)
    await world.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    await world.service("lists", { spec: { externalIPs: ["10.0.0.1"] } })
    await world.asking("older", "10.0.0.1")
    await world.settle()
    await world.annotate("web", { "external-ip": what })
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
  })
})

describe("a pool that has nothing left but what a Service shows", () => {
  it("gives it a second family's address, though the pool came later", async () => {
    const world = new World(all)
    await world.pool("four", lan)
    const spec = { ...balancer, ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }
    for (const n of [1, 2]) {
      await world.service(`web${n}`, { spec, ingress: [{ ip: `10.0.0.${n}` }, { ip: `fd00::${n}` }] })
    }
    await world.settle()
    await world.pool("six", { cidr: "fd00::/64", ranges: [["fd00::1", "fd00::2"]] })
    await world.settle()
    await world.sweep()
    expect([world.carries("web1"), world.carries("web2")]).toEqual(["10.0.0.1,fd00::1", "10.0.0.2,fd00::2"])
  })

  it.each(["auto", "10.0.0.1"])("gives it when it admits the Service at last: %s", async (what) => {
    const world = new World(all)
    await run(world.cluster.create(Namespace, { metadata: { name: "default", labels: {} } }))
    await world.pool("one", { cidr: "10.0.0.1/32", namespaceSelector: { matchLabels: { a: "b" } } })
    await world.asking("web", what, { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    await world.settle()
    const labels = { a: "b" }
    await run(world.cluster.patch(Namespace, { namespace: "", name: "default" }, { metadata: { labels } }))
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })
})

describe("a LoadBalancer whose address somebody else lists by hand before there is a pool", () => {
  it("adopts it: the other one is refused", async () => {
    const world = new World(all)
    await world.service("lists", { spec: { externalIPs: ["10.0.0.1"] } })
    await world.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    await world.settle()
    await world.pool("lan", lan)
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.events("services/default/lists").at(-1)).toContain("ExternalIPRefused")
  })
})

describe("a Service that shows another controller's address, and no longer asks in the moment of its adoption", () => {
  it("goes on showing it", async () => {
    const unask = () => world.another([]).annotate("web", { "external-ip": null })
    const through = upon("mergePatch Service", unask)
    const world: World = new World(allWith({ loadBalancers: "class" }), { through })
    await world.pool("lan", lan)
    await world.service("web", { spec: balancer, ingress: [{ ip: "10.0.0.1" }] })
    await world.settle()
    await world.annotate("web", { "external-ip": "auto" })
    await world.settle()
    expect(world.ingress("web")).toEqual(["10.0.0.1"])
    expect(world.held).toEqual({})
  })
})

describe("an address that another controller gave to two Services", () => {
  const shared = async (annotations: { readonly [name: string]: string }) => {
    const world = new World(allWith({ loadBalancers: "class" }))
    await world.pool("lan", lan)
    const parts = (port: number) => ({
      spec: { ...balancer, ports: [{ port, protocol: "TCP" as const }] },
      ingress: [{ ip: "10.0.0.3" }]
    })
    await world.service("a", parts(80))
    await world.service("b", parts(443))
    await world.settle()
    await world.annotate("a", annotations)
    await world.settle()
    return world
  }

  it("is kept by the one that asks, while the other does not", async () => {
    const world = await shared({ "external-ip": "auto" })
    expect(world.held).toEqual({ "10.0.0.3": ["default/a"] })
  })

  it("is kept by both if they may share, else by the first", async () => {
    const asks = { "external-ip": "auto", "external-ip-share": "web" }
    const world = await shared(asks)
    await world.annotate("b", asks)
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/a", "default/b"] })
    const apart = await shared({ "external-ip": "auto" })
    await apart.annotate("b", { "external-ip": "auto" })
    await apart.settle()
    expect(apart.held).toEqual({ "10.0.0.1": ["default/b"], "10.0.0.3": ["default/a"] })
  })

  it("is entered again for the one that has adopted it when its claim is deleted", async () => {
    const world = await shared({ "external-ip": "auto" })
    await run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-3" }))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/a"] })
  })

  it("is kept by one of them when both have asked before there was a pool", async () => {
    const world = new World(all)
    for (const name of ["a", "b"])
      await world.service(name, { spec: balancer, ingress: [{ ip: "10.0.0.3" }] })
    await world.settle()
    await world.pool("lan", lan)
    await world.settle()
    await world.sweep()
    expect(world.held).toEqual({ "10.0.0.1": ["default/b"], "10.0.0.3": ["default/a"] })
  })
})

describe("Services that list addresses, and ask before their pool is there", () => {
  it("adopt them as soon as it is there", async () => {
    const world = new World(all)
    const names = ["a", "b", "c", "d", "e"]
    for (const [index, name] of names.entries())
      await world.asking(name, "auto", { spec: { externalIPs: [`10.0.0.${index + 1}`] } })
    await world.settle()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    expect(names.map((name) => world.carries(name))).toEqual(names.map((_, index) => `10.0.0.${index + 1}`))
  })
})
