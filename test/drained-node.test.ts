import { describe, expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { claimName } from "../functions/domain/addresses.ts"
import { IpNode, Node } from "../functions/domain/kinds.ts"
import { all, run, World } from "./support/world.ts"

const claim = claimName("10.0.0.1")
const ref = { namespace: "", name: "n1" }

describe("a node that was drained", () => {
  it.each<[string, (world: World) => Promise<unknown>]>([
    ["is deleted", (world) => run(world.cluster.delete(IpNode, ref))],
    [
      "says nothing any more",
      (world) => run(world.cluster.patch(IpNode, ref, { spec: { unschedulable: null } }))
    ]
  ])(
    "is given what waits for it when its IpNode %s, by a host that was started meanwhile",
    async (_, undrain) => {
      const before = new World(all)
      const { fleet } = before.cluster
      await run(before.cluster.create(Node, { metadata: { name: "n1", labels: { lan: "a" } }, spec: {} }))
      fleet.join("n1", [testLink()])
      fleet.inventory("n1", [])
      await before.settle()
      await run(before.cluster.patch(IpNode, ref, { spec: { unschedulable: true } }))
      await before.pool("lan", { cidr: "10.0.0.0/29", nodeSelector: { matchLabels: { lan: "a" } } })
      await before.asking("web")
      await before.settle()
      expect(fleet.placements.has(claim)).toBe(false)
      before.cluster.goStale()
      // Its consumers are durable: it is woken for what is in the fleet, and for what comes.
      const next = before.another(all)
      next.cluster.fleetView.whole()
      await next.settle()
      await undrain(next)
      await next.settle()
      await next.sweep()
      await next.sweep()
      expect(fleet.placements.get(claim)?.holder).toBe("n1")
    }
  )
})
