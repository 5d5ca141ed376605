import { describe, expect, it } from "@effect/vitest"
import { all, only, World } from "../../test/support/world.ts"

const lan = { cidr: "10.0.0.0/29" }

describe("a pool's status", () => {
  it("is put right when a host of before has written it", async () => {
    const world = new World(all.filter(({ name }) => name !== "summarize-pool"))
    const [first, second] = [world.another(only("summarize-pool")), world.another(only("summarize-pool"))]
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    second.cluster.goStale()
    await first.settle()
    expect(world.poolNow("lan").status?.used).toBe(1)
    await world.deleteService("web")
    await world.settle()
    await first.settle()
    expect(world.poolNow("lan").status?.used).toBe(0)
    await second.settle()
    await first.settle()
    await world.sweep()
    await first.settle()
    expect(world.poolNow("lan").status?.used).toBe(0)
  })
})
