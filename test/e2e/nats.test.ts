import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as nats from "../support/scenarios/nats.ts"

const many = Number(process.env["EXTIP_E2E_ADDRESSES"] ?? 5_000)

/** Four nodes, each with the addresses' default lifetime, and two function hosts. */
withParts(`${many} addresses`, (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared, { nodes: 4, hosts: 2, lifetimeMillis: 10_000 })
    addresses = lab.addresses(many)
    await lab.claim(addresses)
  }, 300_000)
  beforeEach(async () => {
    await lab.mendAll()
    await lab.settled(addresses, { seconds: 120 })
    await lab.watched(addresses, 120)
    await lab.ping(addresses)
  }, 300_000)
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.lan.heal()
    for (const node of lab.lan.nodes) {
      await lab.lan.undeafen(node)
      await lab.lan.mend(node, "mgmt")
    }
  })
  afterAll(() => lab?.close())

  it("stay where they are while NATS is away for a minute", () => nats.natsAway(lab, addresses, 60))

  it("are taken over once when a node is lost in the midst of a long outage of NATS", () =>
    nats.lostWhileNatsAway(lab, addresses, "n2", 20))

  it("stay on a node that NATS has given up, and which is back after half a minute", () =>
    nats.cutOff(lab, addresses, "n1", 30))

  it("are taken over from a node that NATS had given up long before", () =>
    nats.cutOffThenLost(lab, addresses, "n3", 25))

  it("are taken over from a node that died together with the runtimes of those that stand by", () =>
    nats.lostUnseen(lab, addresses, "n4", "n1"))

  it("are answered for on each side of a split LAN, and by one node when it has healed", async () => {
    await nats.split(lab, addresses, ["n3", "n4"], { nats: true, seconds: 20 })
  })

  it("and without NATS by whom they were assigned to", async () => {
    await nats.split(lab, addresses, ["n1", "n4"], { nats: false, seconds: 20 })
  })

  it("return to their last holders after a power cut of everything, with an empty JetStream", () =>
    nats.clusterStopped(lab, addresses, "hosts powered off"))

  it("return to them though one of the nodes is late", () =>
    nats.clusterStopped(lab, addresses, "runtimes killed", { node: "n2", seconds: 5 }))

  it("stay where they are when JetStream is wiped", () =>
    nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.wipeStore(lab))))

  it("stay with whom took them when it is wiped before the API server has heard of that", () =>
    nats.unheardFailover(lab, addresses, "n2", nats.wipeStore))

  it("stay with them when an older copy is restored before the API server has heard of that", async () => {
    await nats.copyStore(lab)
    await lab.ready()
    await lab.watched(addresses, 120)
    await nats.unheardFailover(lab, addresses, "n3", nats.restoreStore)
  })

  it("stay where they are when an older copy of it is restored, from before a failover", async () => {
    await nats.copyStore(lab)
    await lab.ready()
    await lab.watched(addresses, 120)
    await nats.functionsDieInFailover(lab, addresses, "n1", 0)
    await nats.nothingMoves(lab, addresses, () => nats.anewAfter(lab, () => nats.restoreStore(lab)))
  })
})
