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
const boundAt = "2026-01-01T12:00:00Z"
const last = { phase: "Bound", node: "n2", link: "eth0", mac: "02:00:00:00:00:02", boundAt }
const [assign, record] = [assignOnClaim(defaultSettings), recordOnBind(defaultSettings)]

/** A world with the claim, and a fleet of which little is known yet. */
const afterPowerLoss = async () => {
  const world = new World([])
  const body = { metadata: { name: claim }, spec: { cidr: hostCidr(address) } }
  await run(world.cluster.create(IpClaim, body))
  const ref = { namespace: "", name: claim }
  await run(world.cluster.api.mergePatch(IpClaim, ref, { status: last }, { subresource: "status" }))
  const fleet = new MemoryFleet()
  fleet.followedMillis = 1_000
  const back = (...nodes: ReadonlyArray<string>): void => {
    for (const node of nodes) {
      fleet.join(node, [testLink()])
      fleet.inventory(node, [])
    }
  }
  return { world, fleet, back }
}

describe("an address whose node was off, as everything was, and whose streams are lost", () => {
  it.each([
    ["record-on-bind", [record, assign]],
    ["assign-on-claim", [assign, record]]
  ] as const)("returns there, if %s hears first that the node is back without it", async (_, order) => {
    const { world, fleet, back } = await afterPowerLoss()
    back("n1", "n2", "n3")
    for (const one of order) await world.another([one], { fleet }).start()
    expect(world.claim(address).status).toMatchObject({ phase: "Pending", node: "n2" })
    expect(fleet.placements.get(claim)?.holder).toBe("n2")
  })

  it.each([
    ["released", "is back already", ["n1", "n2", "n3"], []],
    ["bound", "is back already", ["n1", "n2", "n3"], []],
    ["released", "is not back yet", ["n1", "n3"], ["n2"]]
  ] as const)(
    "returns there, though of the former claim that node's word is left, %s, and it %s",
    async (what, _, first, then) => {
      const { world, fleet, back } = await afterPowerLoss()
      const at = Date.parse(boundAt) - 3_600_000
      fleet.report({ node: "n2", what, address, claim, term: 1, at })
      back(...first)
      await world.another([record], { fleet }).start()
      back(...then)
      await world.another([assign], { fleet }).start()
      expect(fleet.placements.get(claim)?.holder).toBe("n2")
    }
  )
})
