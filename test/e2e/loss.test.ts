import { afterAll, afterEach, beforeAll, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as loss from "../support/scenarios/loss.ts"

const many = 5_000

/** Three nodes, each with the addresses' default lifetime, and thousands of addresses. */
withParts(`with ${many} addresses`, (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared, { lifetimeMillis: 10_000 })
    addresses = lab.addresses(many)
    await lab.claim(addresses)
    await lab.settled(addresses, { seconds: 120 })
    await lab.watched(addresses, 120)
    await lab.ping(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.mendAll()
    await lab.settled(addresses, { seconds: 120 })
    await lab.watched(addresses, 120)
  })
  afterAll(() => lab?.close())

  it("a node that is lost is replaced by its standbys", () =>
    loss.hostLost(lab, addresses, "n1", "nothing else", 10))

  it("a node that is lost with NATS, the functions and the bridge is replaced all the same", () =>
    loss.hostLost(lab, addresses, "n2", "everything else of ours", 10))

  it("a runtime that is killed and back in time has moved nothing", () =>
    loss.runtimeRestarted(lab, addresses, "n1", "SIGKILL"))

  it("a runtime that is killed and not back is replaced when its kernel has dropped the addresses", () =>
    loss.runtimeLost(lab, addresses, "n3"))

  it("a runtime that was frozen takes back nothing that it lost", () =>
    loss.runtimeFrozen(lab, addresses, "n2"))

  it("everything of ours is updated: nothing moves, no ping is lost", () =>
    loss.rollingUpdate(lab, addresses))

  it("a holder and a standby that are lost at once are replaced by who is left", () =>
    loss.twoLost(lab, addresses, 90))
})
