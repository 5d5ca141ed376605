import { afterAll, afterEach, beforeAll, expect, it } from "@effect/vitest"
import { Node } from "../../functions/domain/kinds.ts"
import { smallHeap } from "../../runtime/cli/heap.ts"
import { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import * as binding from "../support/scenarios/binding.ts"
import { holderOf, saidBy } from "../support/scenarios/ground.ts"
import { until } from "../support/until.ts"

const main = new URL("../../runtime/cli/main.js", import.meta.url).pathname

withParts("an address on a node's link", (shared) => {
  let lab: NodeLab
  const both = ["10.77.1.0", "fd77::1:0"]

  beforeAll(async () => {
    lab = await NodeLab.open(shared, { lifetimeMillis: 3_000 })
    await lab.stack.cluster.deleteAll(Node)
    await lab.claim(both, { nodeName: "n1" })
    await lab.settled(both)
  })
  afterEach(async ({ task }) => {
    if (task.result?.state === "fail") console.log(lab.logs())
    await lab.mendAll()
  })
  afterAll(() => lab?.close())

  it.each(both)("that is taken off by hand is back and announced: %s", async (address) => {
    await binding.takenOffByHand(lab, address)
  })

  it("that a link flap flushed is back and announced", async () => {
    await binding.linkFlaps(lab, both)
  })

  it("has a lifetime: a few seconds, and five minutes when the runtime is stopped", async () => {
    const address = lab.address(1)
    await lab.claim([address])
    await lab.settled([address])
    await lab.watched([address])
    await binding.lifetimes(lab, address)
    await lab.free([address])
  })

  it("is watched without a probe for its holder's own address", async () => {
    const address = lab.address(14)
    await lab.claim([address])
    await lab.settled([address])
    await lab.watched([address])
    await binding.notProbed(lab, address)
    await lab.free([address])
  })

  it("is handed over when the runtime of a cordoned node is stopped", async () => {
    const addresses = lab.addresses(3, 2)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await binding.drained(lab, addresses)
    await lab.free(addresses)
  })

  it("stays on a cordoned node whose runtime is stopped while NATS is away, until its host is lost", async () => {
    const addresses = lab.addresses(2, 12)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await binding.drainedWithoutNats(lab, addresses)
    await lab.free(addresses)
  })

  it("is not what a user put there: that stays, also at the stop", () =>
    binding.unmarkedStays(lab, "n2", "10.77.9.9", lab.address(8)))

  it("is not what a user put there, though a claim of it is given to that node", () =>
    binding.unmarkedTwin(lab, "n2", lab.address(9)))

  it("that is of IPv6 is announced, taken over, and withdrawn when a stranger takes it", () =>
    binding.sixth(lab, "fd77::1:6"))

  it.each(["mgmt", "/m.*t/"])("is on the link that --link %s names", async (link) => {
    await lab.killNode("n3", "SIGTERM")
    lab.startNode("n3", ["--link", link])
    await lab.ready()
    const address = lab.address(link === "mgmt" ? 10 : 11)
    await lab.claim([address], { nodeName: "n3" })
    await until("it to be on mgmt", async () => (await binding.addressesOf(lab, "n3", "mgmt")).has(address))
    expect([...(await binding.addressesOf(lab, "n3")).keys()]).not.toContain(address)
    await lab.free([address])
    await until(
      "it to be on mgmt no more",
      async () => !(await binding.addressesOf(lab, "n3", "mgmt")).has(address)
    )
    await lab.killNode("n3", "SIGTERM")
  })

  it.each(["NET_ADMIN", "NET_RAW"])(
    "cannot be without CAP_%s, which the runtime says in a sentence",
    async (name) => {
      await lab.killNode("n3", "SIGTERM")
      const bounds = `-${name.toLowerCase()}`
      const args = [
        "--bounding-set",
        bounds,
        "--inh-caps",
        bounds,
        "--",
        process.execPath,
        ...smallHeap,
        main
      ]
      const node = ["node", "--nats", "nats://10.78.0.1:1", "--name", "n3", "--slice", "/nowhere/slice.json"]
      const ended = lab.lan.spawn("n3", "setpriv", [...args, ...node])
      expect(await ended.ended).not.toBe(0)
      expect(ended.log()).toMatch(new RegExp(`CAP_${name} is missing, so this process may not [^\\n]+`))
      expect(ended.log()).not.toMatch(/\n\s+at /)
    }
  )

  it("is not to be on kube-proxy's as well, which the runtime says", async () => {
    await lab.lan.run("n3", "ip", "link", "add", "kube-ipvs0", "type", "bridge")
    await lab.killNode("n3", "SIGTERM")
    lab.startNode("n3")
    await lab.ready()
    await until("the runtime to say so", () => saidBy(lab, "n3", /strictARP/).length > 0)
    await lab.lan.run("n3", "ip", "link", "del", "kube-ipvs0")
    expect(await holderOf(lab, both[0]!)).toBe("n1")
  })
})
