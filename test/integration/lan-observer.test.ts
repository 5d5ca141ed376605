import { setTimeout as sleep } from "node:timers/promises"
import { afterAll, afterEach, beforeAll, expect, it } from "vitest"
import { addressesOn, expectOneHolder, Lan, withLan } from "../support/lan.ts"
import { until } from "../support/until.ts"

const one = "10.77.1.1"
const both = [one, "fd77::1:1"]

withLan("the laboratory's observer", () => {
  let lan: Lan
  beforeAll(async () => {
    lan = await Lan.open()
  })
  afterAll(async () => {
    await lan.close()
  })
  afterEach(async () => {
    await lan.observer.unwatch(both)
    for (const host of [...lan.nodes, "stranger"]) {
      const put = (await addressesOn(lan, host)).intersection(new Set(both))
      if (put.size > 0) await lan.disown(host, ...put)
    }
    await lan.run("client", "ip", "neigh", "flush", "all")
    expect(await lan.observer.seen()).toMatchObject({ lost: 0 })
  })

  const macOf = (host: string) => lan.addressesOf(host).lan.mac
  const answers = async (address = one) => {
    const macs = (await lan.observer.ask([address])).get(address) ?? []
    return macs.map((mac) => lan.hostOf(mac) ?? mac)
  }
  it("pings by the client's cache: an address that moves is lost until it is announced", async () => {
    await lan.own("n1", ...both)
    await lan.observer.watch(both, { askEveryMillis: 20 })
    const start = lan.observer.mark()
    for (const address of both) {
      await until("a hundred pings", async () => (await lan.observer.pings(address)).sent >= 100)
      expect(await lan.observer.pings(address)).toMatchObject({ lost: 0 })
    }
    await lan.disown("n1", ...both)
    await lan.own("stranger", ...both)
    const pings = async () => [...(await lan.observer.pingsOf(both, start)).values()]
    await until(
      "a third of a second without an answer",
      async () => (await pings()).every(({ longestGapMillis }) => longestGapMillis > 350),
      { last: pings }
    )
    await lan.announceByStranger(...both)
    const announced = lan.observer.mark()
    const after = () => lan.observer.pingsOf(both, announced + 100)
    await until("fifty answers", async () =>
      [...(await after()).values()].every(({ sent, open }) => sent - open > 50)
    )
    for (const [, { lost }] of await after()) expect(lost).toBe(0)
    for (const address of both) {
      const [first, second] = await lan.observer.answersOf(address, start)
      expect([first?.mac, second?.mac]).toEqual([macOf("n1"), macOf("stranger")])
      expect(second!.first).toBeGreaterThan(first!.last)
    }
    for (const [, { longestGapMillis, stalledMillis }] of await lan.observer.asksOf(both, start))
      expect(longestGapMillis - stalledMillis).toBeLessThan(300)
  })

  it("measures how long an address was gone", async () => {
    await lan.own("n1", ...both)
    await lan.observer.watch(both, { askEveryMillis: 20 })
    await until("pings", async () => (await lan.observer.pings(one)).sent > 10)
    const mark = lan.observer.mark()
    await lan.cut("n1", "lan")
    await sleep(700)
    await lan.mend("n1", "lan")
    await until("an answer", async () => (await answers()).length === 1)
    for (const look of [lan.observer.pingsOf(both, mark), lan.observer.asksOf(both, mark)]) {
      for (const [, { longestGapMillis }] of await look) {
        expect(longestGapMillis).toBeGreaterThan(690)
        // The kernel takes up to a second until it believes in a carrier again.
        expect(longestGapMillis).toBeLessThan(2_500)
      }
    }
  })

  it("has lost no ping because it did not run itself", async () => {
    await lan.own("n1", ...both)
    await lan.observer.watch(both, {})
    await until("pings", async () => (await lan.observer.pings(one)).sent > 10)
    const mark = lan.observer.mark()
    await until("pings from here on", async () => (await lan.observer.pings(one, mark)).sent > 2)
    await lan.observer.sleep(1_500, 8 << 20)
    for (const address of both) {
      await until("pings after it", async () => (await lan.observer.pings(address, mark)).sent > 10)
      const { lost, stalledMillis } = await lan.observer.pings(address, mark)
      expect(stalledMillis).toBeGreaterThan(1_400)
      expect(lost).toBe(0)
    }
  })

  it("loses no frame of five thousand addresses", async () => {
    const many = Array.from({ length: 5_000 }, (_, index) => `10.77.${16 + (index >> 8)}.${index & 255}`)
    await lan.own("n3", ...many)
    await expectOneHolder(lan, many, { named: () => "n3" })
    const mark = lan.observer.mark()
    await lan.announceByStranger(...many)
    for (const address of [many[0]!, many.at(-1)!])
      expect(await lan.observer.announcementsOf(address, mark)).toHaveLength(1)
    await lan.disown("n3", ...many)
  })

  it("says when it has lost frames: nothing is proved then", async () => {
    const own = await Lan.open({ nodes: 1 })
    try {
      await own.own("n1", one)
      const many = Array.from({ length: 1_000 }, (_, index) => `10.77.${16 + (index >> 8)}.${index & 255}`)
      await own.announceByStranger(one)
      const asleep = own.observer.sleep(1_500, 2_000)
      for (let times = 0; times < 5; times++) {
        await own.announceByStranger(...many)
        await sleep(200)
      }
      await asleep
      await expect(expectOneHolder(own, [one])).rejects.toThrow(/^the observer has lost \d+ of \d+ frames$/)
    } finally {
      await own.close()
    }
  })
})
