import { describe, expect, it } from "@effect/vitest"
import { all, World } from "../../test/support/world.ts"

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
