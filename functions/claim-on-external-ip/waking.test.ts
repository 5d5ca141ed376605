import { describe, expect, it } from "@effect/vitest"
import { all, run, World } from "../../test/support/world.ts"
import { Namespace, Node } from "../domain/kinds.ts"

const lan = { cidr: "10.0.0.0/29" }

describe("an address that is listed by hand is claimed without the sweep", () => {
  const byHand = { spec: { externalIPs: ["10.0.0.3"] } }

  it("when its Namespace is admitted", async () => {
    const world = new World(all)
    await world.pool("gold", { ...lan, namespaceSelector: { matchLabels: { tier: "gold" } } })
    await world.service("shop/web", byHand)
    await world.settle()
    await run(
      world.cluster.create(Namespace, { metadata: { name: "shop", labels: { tier: "gold" } }, spec: {} })
    )
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["shop/web"] })
  })

  it("when the Node that had it is gone", async () => {
    const world = new World(all)
    const status = { addresses: [{ type: "InternalIP", address: "10.0.0.3" }] }
    await run(world.cluster.create(Node, { metadata: { name: "n1" }, status }))
    await world.pool("lan", lan)
    await world.service("web", byHand)
    await world.settle()
    await run(world.cluster.delete(Node, { namespace: "", name: "n1" }))
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
  })

  it("when the pool that was in its pool's way is gone", async () => {
    const world = new World(all)
    await world.pool("old", { ...lan, namespaces: ["nobody"] })
    await world.pool("lan", { cidr: "10.0.0.0/28" })
    await world.service("web", byHand)
    await world.settle()
    await world.deletePool("old")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.3": ["default/web"] })
  })
})
