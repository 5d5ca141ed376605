import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "@effect/vitest"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import { stays } from "../support/until.ts"

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
    await lab.held(addresses)
    await lab.watched(addresses)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.mendAll()
    await lab.free(addresses)
    await lab.gone(addresses)
  })
  afterAll(() => lab?.close())

  /** Those of the addresses that a node holds. */
  const on = async (node: string) => {
    const holders = await lab.holders(addresses)
    return addresses.filter((address) => holders.get(address)?.includes(node))
  }

  it("by a power cut is replaced by its standbys, which others hear at once", async () => {
    const lost = await on("n1")
    expect(lost.length).toBeGreaterThan(0)
    await lab.powerCut("n1")
    await lab.held(addresses, { seconds: 5 })
    expect(await on("n1")).toEqual([])
  })

  it("together with NATS, the functions and the bridge is replaced all the same", async () => {
    await lab.everythingElseDies()
    await lab.powerCut("n1")
    await lab.held(addresses, { seconds: 5 })
  })

  it("whose runtime is killed keeps its addresses, and moves nothing when it is back in time", async () => {
    const before = await lab.holders(addresses)
    await lab.killNode("n1")
    lab.startNode("n1")
    await lab.ready()
    await stays(
      "every address where it was",
      async () => {
        const now = await lab.holders(addresses)
        return addresses.every((address) => now.get(address)?.join() === before.get(address)?.join())
      },
      2_000
    )
  })

  it("whose runtime is killed and not back is replaced when its kernel has dropped the addresses", async () => {
    await lab.killNode("n1")
    await lab.held(addresses)
    await lab.movedOff("n1", addresses)
  })

  it("whose runtime was frozen does not take back what it lost", async () => {
    const runtime = lab.runtimes.get("n1")!
    await runtime.stop()
    await lab.movedOff("n1", addresses)
    await lab.held(addresses)
    const mark = lab.lan.observer.mark()
    const lost = await on("n1")
    runtime.continue()
    await stays(
      "exactly one holder",
      async () => {
        await lab.held(addresses, { seconds: 0 })
        return true
      },
      2_000
    )
    expect(lost).toEqual([])
    for (const address of addresses) {
      const said = await lab.lan.observer.announcementsOf(address, mark)
      expect(said.filter(({ mac }) => lab.lan.hostOf(mac) === "n1")).toEqual([])
    }
  })
})
