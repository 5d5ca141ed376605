import { expect, it } from "@effect/vitest"
import { testLink } from "#testkit"
import { all, World } from "../../test/support/world.ts"
import { claimName } from "../domain/addresses.ts"
import { IpNode } from "../domain/kinds.ts"

it("a claim's status says with which MAC its address is answered, when the link's is another one by now", async () => {
  const [address, before, after] = ["10.0.0.1", "02:00:00:00:00:0a", "02:00:00:00:00:0b"]
  const claim = claimName(address)
  const world = new World(all)
  const { fleet } = world.cluster
  fleet.join("n1", [testLink({ name: "br0", mac: before })])
  fleet.inventory("n1", [])
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.asking("web")
  await world.settle()
  fleet.report({ claim, address, node: "n1", what: "bound", link: "br0", mac: before })
  await world.settle()
  // A bridge takes over the lowest MAC of its ports: one was added.
  fleet.join("n1", [testLink({ name: "br0", mac: after })])
  await world.settle()
  await world.sweep()
  // NATS restarts as well: an inventory says the same.
  fleet.inventory("n1", [{ claim, address, link: "br0" }])
  await world.settle()
  await world.sweep()
  expect(world.cluster.now(IpNode, { namespace: "", name: "n1" })?.status?.macs).toEqual([after])
  expect(world.claim(address).status?.mac).toBe(after)
})
