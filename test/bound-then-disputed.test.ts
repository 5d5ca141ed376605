import { describe, expect, it } from "@effect/vitest"
import { Unavailable } from "#runtime"
import { testLink } from "#testkit"
import { claimName } from "../functions/domain/addresses.ts"
import { failing } from "./support/faults.ts"
import { all, only, World } from "./support/world.ts"

const address = "10.0.0.1"
const claim = claimName(address)
const foreign = "02:99:00:00:00:07"

describe("an address that was bound, and that a foreign machine has by now", () => {
  it("stays the Service's, though the API server was away all the time that it was bound", async () => {
    const failures: Array<Unavailable> = []
    const world = new World(all, { through: failing("mergePatch IpClaim", failures) })
    const { fleet } = world.cluster
    fleet.join("n1", [testLink()])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web")
    await world.settle()
    for (let i = 0; i < 10; i++) failures.push(new Unavailable({ operation: "", detail: "" }))
    fleet.report({ claim, address, node: "n1", what: "bound", at: Date.now() - 600_000 })
    await world.settle()
    expect(failures).toEqual([])
    fleet.report({ claim, address, node: "n1", what: "conflict", at: Date.now(), foreign })
    await world.settle()
    expect(world.externalIPs("web")).toEqual([address])
  })

  it("stays the Service's, though the host of record-on-bind died in between", async () => {
    const world = new World(only("allocate-on-annotate", "assign-on-claim", "record-on-join"))
    const { fleet } = world.cluster
    fleet.join("n1", [testLink()])
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await world.asking("web")
    await world.settle()
    fleet.report({ claim, address, node: "n1", what: "bound", at: Date.now() - 6_000 })
    await world.settle()
    fleet.report({ claim, address, node: "n1", what: "conflict", at: Date.now(), foreign })
    await world.settle()
    await world.another(only("record-on-bind", "move-on-conflict")).start()
    await world.settle()
    expect(world.externalIPs("web")).toEqual([address])
  })
})
