import { describe, expect, it } from "@effect/vitest"
import { World } from "../../test/support/world.ts"

const minute = 60_000

/** A world in which one lacks an address, one may not have what it lists, one's request is unreadable, and two are content. */
const started = async () => {
  const world = new World()
  await world.pool("lan", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.2"]] })
  await world.asking("content")
  await world.service("lists", { spec: { externalIPs: ["10.0.0.2"] } })
  await world.settle()
  await world.asking("waits")
  await world.asking("odd", "atuo")
  await world.service("refused", { spec: { externalIPs: ["10.9.9.9"] } })
  await world.settle()
  world.cluster.runs.length = 0
  return world
}

/** Who ran for what at this time. */
const ticked = async (world: World, at: number): Promise<ReadonlyArray<string>> => {
  world.cluster.runs.length = 0
  world.cluster.tick(at)
  await world.settle()
  return world.cluster.runs
    .filter((one) => one.function !== "sweep")
    .map((one) => `${one.function} ${one.target.split("/").at(-1)}`)
    .toSorted()
}

describe("a Service that lacks what it asks for", () => {
  it("is told why again each quarter of an hour, and nobody else is woken", async () => {
    const world = await started()
    const born = Date.parse(world.now("waits").metadata.creationTimestamp!)
    for (const after of [0, 1, 14, 16, 29]) expect(await ticked(world, born + after * minute)).toEqual([])
    for (const after of [15, 30, 45]) {
      expect(await ticked(world, born + after * minute)).toEqual([
        "allocate-on-annotate odd",
        "allocate-on-annotate waits",
        "claim-on-external-ip refused"
      ])
    }
  })
})
