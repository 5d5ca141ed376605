import { afterAll, afterEach, beforeAll, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"

withParts("an address on the wire", (shared) => {
  let lab: NodeLab
  beforeAll(async () => {
    lab = await NodeLab.open(shared)
  })
  afterEach(({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
  })
  afterAll(() => lab?.close())

  it("is bound on one node when it is claimed, and gone from its link when it is freed", async () => {
    const [address] = lab.addresses(1)
    await lab.claim([address!])
    await lab.settled([address!])
    await lab.free([address!])
    await lab.gone([address!])
  })
})
