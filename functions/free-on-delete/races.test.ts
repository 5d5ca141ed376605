import { describe, expect, it } from "@effect/vitest"
import { all, only, World } from "../../test/support/world.ts"
import { Service } from "../domain/kinds.ts"
import type { ServiceParts } from "../domain/objects.fixture.ts"
import { defaultSettings } from "../domain/settings.ts"
import { freeOnDelete } from "./function.ts"

const free = freeOnDelete(defaultSettings)

const served = async (parts: ServiceParts = { annotations: { "external-ip": "auto" } }, through?: any) => {
  const world = new World(all, through && { through })
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.pool("spare", { cidr: "10.9.0.0/29", priority: -1 })
  await world.service("web", parts)
  await world.settle()
  return world
}

describe("free-on-delete", () => {
  it("works from the outside in: off the Service before the claim goes", async () => {
    const world = await served()
    const order: Array<string> = []
    world.cluster.api.watch(({ kind, verb, ref }) => order.push(`${verb} ${kind.kind} ${ref.name}`))
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(order.filter((one) => !one.includes("IpClaimPool"))).toEqual([
      "modified Service web",
      "modified Service web",
      "deleted IpClaim 10-0-0-1"
    ])
  })

  it("asks the API server before it takes away: a stale view that misses the Service frees nothing", async () => {
    const world = await served()
    const late = world.another([free])
    // Its view has lost the Service, as after a restored stream; the Service is there.
    late.cluster.view.applyGone(Service, { namespace: "default", name: "web" }, world.now("web").metadata.uid)
    const before = world.state
    late.cluster.wakeAll()
    await late.settle()
    expect(late.ended("free-on-delete")).toEqual(["Done"])
    expect(world.state).toBe(before)
  })

  it("takes nothing from a Service that has stopped asking and asks again by the time", async () => {
    const world = await served()
    const late = world.another([free])
    await world.annotate("web", { "external-ip": null })
    late.cluster.goStale()
    await world.annotate("web", { "external-ip": "auto" })
    const before = world.state
    await late.settle()
    await world.settle()
    expect(world.state).toBe(before)
    expect(world.carries("web")).toBe("10.0.0.1")
  })

  it("loses against whoever changed the claim meanwhile, and looks again", async () => {
    const share = { "external-ip": "auto", "external-ip-share": "k" }
    const world = await served({ annotations: share })
    const late = world.another([free])
    await world.deleteService("web")
    late.cluster.goStale()
    const other = { annotations: share, spec: { ports: [{ port: 81, protocol: "TCP" }] } }
    // The first Service is still in the claim when the second one is entered.
    const allocator = world.another(only("allocate-on-annotate"))
    await allocator.service("other", other)
    await allocator.settle()
    expect(allocator.held["10.0.0.1"]).toEqual(["default/web", "default/other"])
    await late.settle()
    expect(late.ended("free-on-delete")).toEqual(["Again", "Done"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/other"] })
  })
})
