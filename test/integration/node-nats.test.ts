import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as nats from "../support/scenarios/nats.ts"

/** All the others are in `test/e2e/`. */
withParts("addresses on the wire", (shared) => {
  let lab: NodeLab
  const few = 8
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared, { nodes: 4, hosts: 2 })
    addresses = lab.addresses(few)
    await lab.claim(addresses)
  })
  beforeEach(async () => {
    await lab.mendAll()
    await lab.settled(addresses)
    await lab.watched(addresses)
    await lab.ping(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.lan.heal()
    for (const node of lab.lan.nodes) {
      await lab.lan.undeafen(node)
      await lab.lan.mend(node, "mgmt")
    }
  })
  afterAll(() => lab?.close())

  it("whose whole cluster lost its power return to their last holders with an empty JetStream", () =>
    nats.clusterStopped(lab, addresses, "hosts powered off"))

  it("stay where they are when JetStream loses all streams", () =>
    nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.deleteStreams(lab))))
})
