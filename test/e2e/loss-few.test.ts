import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as loss from "../support/scenarios/loss.ts"

/** What takes longest of `test/integration/node-loss.test.ts`. */
withParts("few addresses", (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared)
    addresses = lab.addresses(6)
    await lab.claim(addresses)
  })
  beforeEach(async () => {
    await lab.settled(addresses)
    await lab.watched(addresses)
    await lab.ping(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.mendAll()
  })
  afterAll(() => lab?.close())

  it("of a node that is lost with a standby of it at the same moment are on who is left", () =>
    loss.twoLost(lab, addresses))

  it("of a runtime that was frozen for longer than they live stay with whom took them", () =>
    loss.runtimeFrozen(lab, addresses, "n2"))
})
