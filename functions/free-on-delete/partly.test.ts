import { describe, expect, it } from "@effect/vitest"
import { upon } from "../../test/support/faults.ts"
import { all, only, World } from "../../test/support/world.ts"

const lan = { cidr: "10.0.0.0/29" }
const balancer = { type: "LoadBalancer" }
const dual = { ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "PreferDualStack" }

describe("a ClusterIP Service that gives up one of two addresses", () => {
  it("keeps the other one, and has no ingress, which the API server would refuse", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.pool("six", { cidr: "fd00::/125" })
    await world.asking("web", "10.0.0.1,fd00::1", { spec: dual })
    await world.settle()
    await world.annotate("web", { "external-ip": "10.0.0.1" })
    await world.settle()
    expect(world.troubles).toEqual([])
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })
})

describe("a LoadBalancer whose address is taken off", () => {
  it("is not given it back between the two writes that this takes", async () => {
    const setup = new World(all)
    await setup.pool("lan", lan)
    await setup.pool("wan", { cidr: "10.9.0.0/29", priority: -1 })
    await setup.service("web", { spec: balancer })
    await setup.settle()
    const allocator = setup.another(only("allocate-on-annotate"))
    const freer = setup.another(only("free-on-delete"), {
      through: upon("mergePatch Service", () => allocator.settle(), 2)
    })
    await setup.annotate("web", { "external-ip-pool": "wan" })
    await allocator.settle()
    await freer.settle()
    await allocator.settle()
    await freer.settle()
    await allocator.settle()
    expect(allocator.ingress("web")).toEqual(["10.9.0.1"])
    expect([...allocator.events(), ...freer.events()]).toEqual([
      "IPAllocated: Assigned IP 10.9.0.1",
      "ClearAssignment: Cleared the external IP"
    ])
  })
})
