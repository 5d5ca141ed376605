import { describe, expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { killedAfter } from "../../test/support/faults.ts"
import { all, only, World } from "../../test/support/world.ts"
import { claimName } from "../domain/addresses.ts"

const lan = { cidr: "10.0.0.0/29" }
const balancer = { type: "LoadBalancer" }
const dual = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }

describe("a Service of two families that lost one to a conflict", () => {
  const foreign = "02:99:00:00:00:07"
  const disputed = async () => {
    const before = new World(all)
    before.cluster.fleet.join("n1", [testLink()])
    await before.pool("lan", { ...lan, ranges: [["10.0.0.1", "10.0.0.2"]] })
    await before.pool("six", { cidr: "fd00::/125" })
    await before.service("web", { spec: { ...balancer, ...dual } })
    await before.settle()
    expect(before.ingress("web")).toEqual(["10.0.0.1", "fd00::1"])
    const mover = before.another(only("move-on-conflict"))
    const allocator = before.another(only("allocate-on-annotate"))
    const rest = before.another(
      only("record-on-bind", "assign-on-claim", "free-on-delete", "claim-on-external-ip")
    )
    const { fleet } = before.cluster
    const term = fleet.placements.get(claimName("10.0.0.1"))?.term ?? 9
    const what = "conflict"
    fleet.report({
      claim: claimName("10.0.0.1"),
      address: "10.0.0.1",
      node: "n1",
      what,
      term,
      at: Date.now(),
      foreign
    })
    await rest.settle()
    return { mover, allocator, rest }
  }

  it("is not passed over for younger ones", async () => {
    const { mover, allocator, rest } = await disputed()
    await allocator.asking("younger")
    await mover.settle()
    await allocator.settle()
    await rest.settle()
    expect({ web: allocator.ingress("web"), younger: allocator.externalIPs("younger") }).toEqual({
      web: ["10.0.0.2", "fd00::1"],
      younger: undefined
    })
  })

  it("is woken when an address is there again", async () => {
    const { mover, allocator, rest } = await disputed()
    await allocator.asking("younger")
    await mover.settle()
    await allocator.settle()
    await rest.settle()
    await rest.deleteService("younger")
    await rest.settle()
    await allocator.settle()
    await rest.settle()
    await allocator.settle()
    expect(allocator.ingress("web")).toEqual(["10.0.0.2", "fd00::1"])
  })
})

describe("a Service of two families of which one was claimed when its host died", () => {
  it("is served before younger ones, and hears of the other one", async () => {
    const spec = { ...balancer, ...dual, ipFamilyPolicy: "RequireDualStack" }
    const setup = new World([])
    await setup.pool("lan", lan)
    await setup.pool("six", { cidr: "fd00::/125", ranges: [["fd00::1", "fd00::1"]] })
    await setup.service("web", { spec })
    const dying = setup.another(only("allocate-on-annotate"), { through: killedAfter(1) })
    await dying.start()
    const world = setup.another(all)
    await world.asking("holder", "fd00::1", { spec: { ipFamilies: ["IPv6"] } })
    await world.settle()
    await world.start()
    await world.service("younger", { spec })
    await world.settle()
    await world.deleteService("holder")
    await world.settle()
    expect({ web: world.ingress("web"), younger: world.ingress("younger") }).toEqual({
      web: ["10.0.0.1", "fd00::1"],
      younger: []
    })
  })
})
