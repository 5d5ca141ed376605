import { describe, expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { IpClaim } from "../functions/domain/kinds.ts"
import { annotations } from "../functions/domain/requests.ts"
import { run, World } from "./support/world.ts"

const allocated = annotations.allocated
const address = "10.0.0.1"
const forged = { annotations: { [allocated]: address } }
const https = { ports: [{ port: 443, protocol: "TCP" }] }

describe("an annotation `allocated` that its Service's author wrote", () => {
  const unclaimed = (world: World) => run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))

  it("keeps no address from others beside one that is listed by hand", async () => {
    const world = new World()
    await world.pool("open", { cidr: "10.1.0.0/29" })
    await world.pool("vip", { cidr: `${address}/32`, namespaces: ["bank"] })
    await world.service("evil/a", { ...forged, spec: { externalIPs: ["10.1.0.1"] } })
    await world.settle()
    expect(world.externalIPs("evil/a")).toEqual(["10.1.0.1"])
    await world.asking("bank/web", "auto", { annotations: { "external-ip-pool": "vip" } })
    await world.settle()
    expect(world.held).toEqual({ "10.1.0.1": ["evil/a"], [address]: ["bank/web"] })
  })

  it("is taken off with the address, when the claim of that is lost and its Service asks no more but lists another one", async () => {
    const world = new World()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web", address, { spec: { externalIPs: ["10.0.0.5"] } })
    await world.settle()
    expect(world.carries("web")).toBe(address)
    await world.edit("web", { metadata: { annotations: { "external-ip": null } } })
    await unclaimed(world)
    await world.settle()
    expect([world.carries("web"), world.externalIPs("web")]).toEqual([undefined, ["10.0.0.5"]])
  })

  it("gives nobody what another controller gave to another Service", async () => {
    const world = new World()
    await world.service("bank/web", {
      spec: { type: "LoadBalancer", loadBalancerClass: "example.com/other" },
      ingress: [{ ip: address }]
    })
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("evil/a", "auto", forged)
    await world.settle()
    expect(world.held).toEqual({})
    expect(world.events("services/evil/a")).toEqual([
      expect.stringContaining("Service bank/web shows it, to which another controller gave it")
    ])
  })

  it("enters nobody into a claim of a pool that does not admit him, though it names nobody", async () => {
    const world = new World()
    world.cluster.fleet.join("n1", [testLink()])
    await world.pool("vip", { cidr: "10.0.0.0/29", namespaces: ["bank"] })
    await world.asking("bank/web")
    await world.settle()
    const { term } = world.cluster.fleet.placements.get("10-0-0-1")!
    const conflict = { claim: "10-0-0-1", address, node: "n1", what: "conflict", term } as const
    world.cluster.fleet.report({ ...conflict, at: Date.now(), foreign: "02:99:00:00:00:07" })
    await world.settle()
    expect(world.held[address]).toEqual([])
    await world.asking("evil/a", "auto", forged)
    await world.settle()
    expect([world.held[address], world.carries("evil/a")]).toEqual([[], undefined])
  })

  it("lets nobody share what its pool does not give him", async () => {
    const world = new World()
    const serviceSelector = { matchLabels: { tier: "gold" } }
    await world.pool("gold", { cidr: "10.0.0.0/29", namespaces: ["bank"], serviceSelector })
    const shared = { annotations: { "external-ip-share": "k" } }
    await world.asking("bank/web", "auto", { labels: { tier: "gold" }, ...shared })
    await world.settle()
    await world.asking("bank/a", address, { ...shared, spec: https })
    await world.annotate("bank/a", { [allocated]: address })
    await world.settle()
    expect([world.held, world.carries("bank/a")]).toEqual([{ [address]: ["bank/web"] }, undefined])
  })

  it("takes no older Service's address, while its claim and its pool are away", async () => {
    const world = new World()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("shop/web")
    await world.settle()
    await world.deletePool("lan")
    await unclaimed(world)
    await world.asking("evil/aa", "auto", forged)
    await world.settle()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.settle()
    await world.sweep()
    expect([world.held[address], world.carries("shop/web")]).toEqual([["shop/web"], address])
    expect(world.carries("evil/aa")).not.toBe(address)
  })
})

describe("an address that was given", () => {
  it("is not left on a load balancer that is edited to have another one and no annotation", async () => {
    const world = new World()
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.service("web", { spec: { type: "LoadBalancer", loadBalancerIP: address } })
    await world.settle()
    const metadata = { annotations: { [allocated]: null } }
    await world.edit("web", { metadata, spec: { loadBalancerIP: "10.0.0.2" } })
    await world.settle()
    expect([world.held, world.ingress("web")]).toEqual([{ "10.0.0.2": ["default/web"] }, ["10.0.0.2"]])
  })

  it("stays with who asks for a pool that has another name by now, when its claim is lost", async () => {
    const world = new World()
    await world.pool("old", { cidr: "10.0.0.0/29" })
    await world.asking("web", "auto", { annotations: { "external-ip-pool": "old" } })
    await world.settle()
    await world.deletePool("old")
    await world.pool("new", { cidr: "10.0.0.0/29" })
    await run(world.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))
    await world.settle()
    await world.sweep()
    expect([world.held, world.carries("web")]).toEqual([{ [address]: ["default/web"] }, address])
  })

  it.each(["auto", address])(
    "is given again ever more slowly to who is replaced without it (%s)",
    async (what) => {
      const world = new World()
      await world.pool("lan", { cidr: "10.0.0.0/29" })
      await world.asking("web", what)
      await world.settle()
      let given = 0
      for (let round = 0; round < 10; round++) {
        if (world.carries("web") !== undefined) given++
        await world.edit("web", {
          metadata: { annotations: { [allocated]: null } },
          spec: { externalIPs: null }
        })
        await world.settle()
      }
      expect(given).toBe(4)
      expect(world.events("services/default/web")).toContainEqual(expect.stringContaining("TakenOffAgain"))
    }
  )
})
