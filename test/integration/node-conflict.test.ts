import { afterAll, afterEach, beforeAll, beforeEach, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as conflict from "../support/scenarios/conflict.ts"

withParts("an address that somebody else has as well", (shared) => {
  let lab: NodeLab
  let round = 0
  let [address, other]: ReadonlyArray<string> = []

  beforeAll(async () => {
    lab = await NodeLab.open(shared, {
      hostArgs: ["--conflict-retry-millis", String(conflict.conflictRetryMillis)]
    })
  })
  beforeEach(() => {
    ;[address, other] = lab.addresses(2, 2 * round++)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.lan.proxyByStranger(false)
    for (const node of lab.lan.nodes) {
      if (lab.lan.isOn(node))
        for (const network of ["lan", "mgmt"] as const) await lab.lan.mend(node, network)
    }
    await lab.mendAll()
    await lab.free([address!, other!].filter((one) => claimed.has(one)))
    await lab.gone([address!, other!])
    claimed.clear()
  })
  afterAll(() => lab?.close())

  const claimed = new Set<string>()
  const bound = async (...addresses: ReadonlyArray<string>) => {
    for (const one of addresses) claimed.add(one)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await lab.watched(addresses)
  }

  it("because a stranger had it before is put on no link, and on one when the stranger has gone", async () => {
    claimed.add(address!)
    await conflict.strangerFirst(lab, address!)
  })

  it("because a stranger takes it is withdrawn, and put back when the stranger has gone", async () => {
    await bound(address!)
    await conflict.strangerLater(lab, address!)
  })

  it("because a second node is given it by an older word stays where it is", async () => {
    await bound(address!)
    await conflict.staleAssignment(lab, address!)
  })

  it("because an ARP proxy answers for everything is bound, and taken over, all the same", async () => {
    await bound(address!)
    claimed.add(other!)
    await conflict.arpProxy(lab, [address!], [other!])
  })

  it("because its holder goes on while its standby asks for it has one holder", async () => {
    await bound(address!)
    await conflict.backWhileProbed(lab, address!)
  })

  it("because its holder is started again when its kernel has dropped it has one holder", async () => {
    await bound(address!)
    await conflict.restartedWhileProbed(lab, address!)
  })
})
