import { describe, expect, it } from "@effect/vitest"
import { upon } from "../../test/support/faults.ts"
import { all, only, World } from "../../test/support/world.ts"

const lan = { cidr: "10.0.0.0/29" }
const key = { "external-ip-share": "k" }
const ports = (port: number) => ({ ports: [{ port, protocol: "TCP" }] })
const byHand = { externalIPs: ["10.0.0.3"] }

describe("an address that is listed by hand", () => {
  it("is shared with who waits for that, once its lister has the key", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("one", { spec: { ...byHand, ...ports(80) } })
    await world.asking("two", "10.0.0.3", { annotations: key, spec: ports(443) })
    await world.settle()
    expect(world.carries("two")).toBeUndefined()
    await world.annotate("one", { "external-ip-share": " k " })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/one", "default/two"] })
    expect(world.carries("two")).toBe("10.0.0.3")
  })

  it("is not shared by one with a port that its lister has by now", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("one", { annotations: key, spec: { ...byHand, ...ports(80) } })
    await world.settle()
    await world.edit("one", { spec: ports(443) })
    await world.settle()
    await world.asking("two", "10.0.0.3", { annotations: key, spec: ports(443) })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/one"] })
    expect(world.events("services/default/two")).toEqual([
      "AllocationFailed: 10.0.0.3 is shared by Service default/one, which has port 443/TCP too"
    ])
  })

  it("stays with both when its lister takes the other one's port, and that is told", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("one", { annotations: key, spec: { ...byHand, ...ports(80) } })
    await world.asking("two", "10.0.0.3", { annotations: key, spec: ports(443) })
    await world.settle()
    await world.edit("one", { spec: ports(443) })
    await world.settle()
    expect(world.claim("10.0.0.3").spec.services).toMatchObject([
      { name: "one", origin: "external", ...ports(443) },
      { name: "two", origin: "allocated", ...ports(443) }
    ])
    expect(world.events("services/default/one")).toEqual([
      "SharingConflict: 10.0.0.3 is shared by Service default/two, which has port 443/TCP too; what comes for it goes to one of them only"
    ])
  })

  it("is listed by several with the same port, which is nobody's trouble", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("one", { spec: { ...byHand, ...ports(80) } })
    await world.service("shop/one", { spec: { ...byHand, ...ports(80) } })
    await world.settle()
    await world.edit("one", { spec: ports(443) })
    await world.edit("shop/one", { spec: ports(443) })
    await world.settle()
    expect(world.claim("10.0.0.3").spec.services).toMatchObject([ports(443), ports(443)])
    expect(world.troubles).toEqual([])
  })

  it("keeps in its claim the newer ports, though a host has the older ones in mind", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.service("one", { spec: { ...byHand, ...ports(80) } })
    await world.settle()
    const newest = () => world.edit("one", { spec: ports(8443) })
    const late = world.another(only("claim-on-external-ip"), { through: upon("get Service", newest) })
    await world.edit("one", { spec: ports(443) })
    await late.start()
    expect(late.claim("10.0.0.3").spec.services).toMatchObject([ports(8443)])
    const runs = late.cluster.runs.flatMap(({ ended }) => ("decision" in ended ? [ended.decision] : []))
    expect(runs).toEqual([undefined, "entered the Service's ports into 10-0-0-3"])
  })
})
