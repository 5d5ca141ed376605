import { describe, expect, it } from "@effect/vitest"
import { MemoryFleet, testLink } from "#testkit"
import { assignOnClaim } from "../functions/assign-on-claim/function.ts"
import { claimName, hostCidr } from "../functions/domain/addresses.ts"
import { IpClaim } from "../functions/domain/kinds.ts"
import { defaultSettings } from "../functions/domain/settings.ts"
import { recordOnBind } from "../functions/record-on-bind/function.ts"
import { run, World } from "./support/world.ts"

const address = "10.0.0.1"
const claim = claimName(address)
const last = { phase: "Bound", node: "n2", link: "eth0", mac: "02:00:00:00:00:02" }
const [assign, record] = [assignOnClaim(defaultSettings), recordOnBind(defaultSettings)]

describe("an address whose node was off, as everything was, and whose streams are lost", () => {
  it.each([
    ["record-on-bind", [record, assign]],
    ["assign-on-claim", [assign, record]]
  ] as const)("returns there, if %s hears first that the node is back without it", async (_, order) => {
    const world = new World([])
    await run(world.cluster.create(IpClaim, { metadata: { name: claim }, spec: { cidr: hostCidr(address) } }))
    const ref = { namespace: "", name: claim }
    await run(world.cluster.api.mergePatch(IpClaim, ref, { status: last }, { subresource: "status" }))
    const fleet = new MemoryFleet()
    fleet.followedMillis = 1_000
    for (const node of ["n1", "n2", "n3"]) {
      fleet.join(node, [testLink()])
      fleet.inventory(node, [])
    }
    for (const one of order) await world.another([one], { fleet }).start()
    expect(world.claim(address).status).toMatchObject({ phase: "Pending", node: "n2" })
    expect(fleet.placements.get(claim)?.holder).toBe("n2")
  })
})
