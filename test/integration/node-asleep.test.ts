import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as asleep from "../support/scenarios/asleep.ts"
import { soonSeconds } from "../support/scenarios/ground.ts"

withParts("a node that has missed something", (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>
  let round = 0

  beforeAll(async () => {
    lab = await NodeLab.open(shared, { lifetimeMillis: 3_000 })
  })
  beforeEach(async () => {
    addresses = lab.addresses(3, 3 * round++)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await lab.watched(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    for (const node of lab.lan.nodes) {
      if (lab.lan.isOn(node))
        for (const network of ["lan", "mgmt"] as const) await lab.lan.mend(node, network)
    }
    await lab.mendAll()
    await lab.free(addresses)
    await lab.gone(addresses)
  })
  afterAll(() => lab?.close())

  it("since NATS is away from it takes nothing of what was freed and given to another", () =>
    asleep.standbyOutOfDate(lab, addresses[0]!))

  it("and did not hear the farewell either takes nothing that the new holder answers for", () =>
    asleep.standbyDeafAndOutOfDate(lab, addresses[0]!))

  it("for 500 ms, because its event loop stood still, takes nobody for lost, and nobody it", () =>
    asleep.stalls(lab, addresses, 500))

  it("because its host was paused for longer than its addresses live leaves them to who took them", async () => {
    expect(await asleep.hostPaused(lab, addresses)).toBeLessThan(soonSeconds * 1_000)
  })
})
