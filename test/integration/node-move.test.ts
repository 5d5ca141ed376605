import { afterAll, afterEach, beforeAll, it } from "@effect/vitest"
import { EndpointSlice, Node } from "../../functions/domain/kinds.ts"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as move from "../support/scenarios/move.ts"

withParts("an address that is to leave its node", (shared) => {
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    lab = await NodeLab.open(shared)
    await lab.stack.cluster.deleteAll(Node)
    await lab.stack.cluster.namespace("moves")
    await lab.stack.cluster.deleteAll(EndpointSlice, "moves")
    addresses = lab.addresses(6)
    await lab.claim(addresses)
    await lab.settled(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.settled(addresses)
    await lab.watched(addresses)
  })
  afterAll(() => lab?.close())

  it("because its IpNode is unschedulable leaves it before another one has it", async () => {
    await move.byIpNode(lab, addresses, "n1")
  })

  it("because load balancers are kept from its Node leaves it before another one has it", async () => {
    await move.byLabel(lab, addresses, "n2")
  })

  it("because its endpoints have moved follows them", async () => {
    await move.byEndpoints(lab, lab.address(6), ["n1", "n3"])
    await lab.free([lab.address(6)])
  })

  it("need not, when its node is cordoned; but nothing new comes there", () =>
    move.cordonMovesNothing(lab, addresses, lab.addresses(3, 7), "n3"))
})
