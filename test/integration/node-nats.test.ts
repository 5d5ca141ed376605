import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as nats from "../support/scenarios/nats.ts"

/** The rest of these, and longer ones, are in `test/e2e/`. */
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

  it("stay with a node that alone has lost NATS, and it comes back to nothing else", () =>
    nats.cutOff(lab, addresses, "n1", 6))

  it("on a LAN that splits are answered for on each side, and by one node when it has healed", async () => {
    await nats.split(lab, addresses, ["n3", "n4"], { nats: true, seconds: 2 })
  })

  it("whose whole cluster lost its power return to their last holders with an empty JetStream", () =>
    nats.clusterStopped(lab, addresses, "hosts powered off"))

  it("stay where they are when JetStream loses all streams", () =>
    nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.deleteStreams(lab))))

  it("stay with whom took them when JetStream is wiped after a failover that the API server has not heard of", () =>
    nats.unheardFailover(lab, addresses, "n2", nats.wipeStore))
})
