import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as loss from "../support/scenarios/loss.ts"

withParts("a node that is lost", (shared) => {
  let lab: NodeLab
  const few = 6
  let addresses: ReadonlyArray<string>
  let round = 0

  beforeAll(async () => {
    lab = await NodeLab.open(shared)
  })
  beforeEach(async () => {
    addresses = lab.addresses(few, few * round++)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await lab.watched(addresses)
    await lab.ping(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.lan.observer.unwatch(addresses)
    await lab.mendAll()
    await lab.free(addresses)
    await lab.gone(addresses)
  })
  afterAll(() => lab?.close())

  it.each<[string, loss.Together]>([
    ["by a power cut is replaced by its standbys", "nothing else"],
    ["together with NATS is replaced all the same", "NATS"],
    ["together with the function host is replaced all the same", "the functions"],
    ["together with NATS, the functions and the bridge is replaced all the same", "everything else of ours"]
  ])("%s", (_, together) => loss.hostLost(lab, addresses, "n1", together))

  it("and a standby of it at the same moment, is replaced by who is left", () => loss.twoLost(lab, addresses))

  it("whose cable is pulled is replaced, and takes nothing back when it is plugged in", () =>
    loss.linkLost(lab, addresses, "n1", false))

  it("whose link has no carrier hands its addresses over", () => loss.linkLost(lab, addresses, "n1", true))
})

withParts("a runtime", (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared)
    addresses = lab.addresses(6)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await lab.watched(addresses)
    await lab.ping(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.mendAll()
    await lab.settled(addresses)
    await lab.watched(addresses)
  })
  afterAll(() => lab?.close())

  it("that is killed and back within the lifetime of its addresses has lost no ping, and moved nothing", () =>
    loss.runtimeRestarted(lab, addresses, "n1", "SIGKILL"))

  it("that is updated has lost no ping, and moved nothing", () =>
    loss.runtimeRestarted(lab, addresses, "n2", "SIGTERM"))

  it("that is killed and not back is replaced when its kernel has dropped the addresses", () =>
    loss.runtimeLost(lab, addresses, "n1"))

  it("that was frozen for longer takes back nothing that it lost", () =>
    loss.runtimeFrozen(lab, addresses, "n2"))

  it("that was frozen takes back nothing either before it has been recorded who took it", () =>
    loss.runtimeFrozen(lab, addresses, "n1", false))

  it("and everything else of ours can be updated one after the other: nothing moves, no ping is lost", () =>
    loss.rollingUpdate(lab, addresses))
})
