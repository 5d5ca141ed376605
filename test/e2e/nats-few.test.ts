import { afterAll, afterEach, beforeAll, beforeEach, describe, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as nats from "../support/scenarios/nats.ts"

withParts("few addresses on the wire", (shared) => {
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

  describe("whose NATS", () => {
    it("is away for longer than nodes are remembered stay where they are", () =>
      nats.natsAway(lab, addresses, 5.5))
    it("is away while a node is lost are taken over once, and stay there", () =>
      nats.lostWhileNatsAway(lab, addresses, "n2", 1))
    it("is lost to one node alone stay there, and it comes back to nothing else", () =>
      nats.cutOff(lab, addresses, "n1", 6))
  })

  describe("on a LAN that splits", () => {
    it("are answered for on each side, and by one node when it has healed", async () => {
      await nats.split(lab, addresses, ["n3", "n4"], { nats: true, seconds: 3 })
    })
    it("without NATS are answered for on each side, and by whom they were assigned to when it has healed", async () => {
      await nats.split(lab, addresses, ["n3", "n4"], { nats: false, seconds: 2 })
    })
    it("are not taken by a standby that hears nothing", () => nats.deafStandby(lab, addresses, "n2"))
  })

  describe("whose functions", () => {
    it("die during a failover stay with whom took them", () =>
      nats.functionsDieInFailover(lab, addresses, "n3", 500))
    it("lose one of two hosts during a failover are recorded by the other one", () =>
      nats.oneOfTwoHostsDies(lab, addresses, "n4", 0))
  })

  it("whose whole cluster lost its power return to their last holders with an empty JetStream", () =>
    nats.clusterStopped(lab, addresses, "hosts powered off"))

  describe("whose JetStream", () => {
    it("loses all streams stay where they are", () =>
      nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.deleteStreams(lab))))
    it.each(["KV_assignments", "KV_nodes", "NODE"])("loses %s alone stay where they are", (stream) =>
      nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.deleteStreams(lab, [stream])))
    )
    it("is wiped under kill -9 stay where they are", () =>
      nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.wipeStore(lab))))
    it("is put back to an older copy stay where they are, also after a failover since", async () => {
      await nats.copyStore(lab)
      await nats.functionsDieInFailover(lab, addresses, "n1", 0)
      await lab.settled(addresses)
      await nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.restoreStore(lab)))
    })
    it("is wiped after a failover that the API server has not heard of stay with whom took them", () =>
      nats.unheardFailover(lab, addresses, "n2", nats.wipeStore))
  })
})
