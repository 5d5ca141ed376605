import { afterEach, describe, expect, it, vi } from "@effect/vitest"
import { claimKeyOf, isSound, soundLinks } from "../fleet/messages.ts"
import { Binder } from "./binder.ts"
import { Holder } from "./holder.ts"
import { addressBytes, macBytes } from "./kernel/addresses.ts"
import { advertisement, discoveryFrame, targetMac } from "./kernel/discovery.ts"
import { openLan, wireThat } from "./lan.fixture.ts"
import { Peers } from "./peers.ts"
import { Standbys } from "./standbys.ts"
import { address, aroundOf, by, foreign, heard, linkOf, mine, other } from "./surroundings.fixture.ts"

afterEach(() => void vi.restoreAllMocks())
const spec = (one: string) => ({
  role: "holder" as const,
  claim: claimKeyOf(one),
  address: one,
  term: 3,
  holder: "me"
})

describe("an assignment that is not as ours are", () => {
  it("one odd assignment does not keep others from being bound", async () => {
    wireThat()
    const lan = openLan()
    const all = [spec("10.0.0.1"), spec("10.2")].filter(isSound)
    const around = { ...aroundOf(lan), assignmentOf: (c: string) => all.find(({ claim }) => claim === c) }
    const binder = new Binder(around, new Holder(around))
    const [one] = await Promise.allSettled(all.map((a) => binder.bind(a)))
    expect(one).toMatchObject({ status: "fulfilled" })
  })
  it("an address in another form is not put on top of a machine that answers for it", async () => {
    const written = "fd00:0::1"
    wireThat((frame) =>
      frame[12] === 0x86
        ? discoveryFrame({
            to: macBytes(mine),
            mac: macBytes(foreign),
            source: addressBytes(written),
            destination: addressBytes("ff02::1"),
            type: advertisement,
            flags: 0x20,
            target: addressBytes(written),
            macOption: targetMac,
            signature: by(2, false)
          })
        : undefined
    )
    const lan = openLan()
    const assignment = { ...spec(written), link: "eth0" }
    const around = { ...aroundOf(lan), assignmentOf: () => assignment }
    const holder = new Holder(around)
    const put = isSound(assignment)
      ? await new Binder(around, holder).bind(assignment).then(
          () => "bound",
          (c: Error) => c.name + c.message
        )
      : "passed over"
    expect(put).not.toBe("bound")
  })
})

describe("a peer whose key is not as ours are", () => {
  it("one peer's odd subnet does not keep a silent node from being replaced", async () => {
    const stop = new AbortController()
    wireThat()
    const said: Array<string> = []
    const real = openLan()
    let isAsked = false
    vi.spyOn(real, "othersHeardAt").mockImplementation(() =>
      isAsked ? performance.now() : Number.NEGATIVE_INFINITY
    )
    const ask = real.askMachines.bind(real)
    vi.spyOn(real, "askMachines").mockImplementation(async (...of) => {
      await ask(...of)
      isAsked = true
    })
    const peers = new Peers()
    peers.set("other", [linkOf(other)])
    peers.set("odd", soundLinks([{ ...linkOf(foreign), subnets: ["10.2/24"] }]))
    const around = aroundOf(real, peers)
    const taken: Array<string> = []
    const a = {
      ...around,
      times: { ...around.times, watchMillis: 6, answerMillis: 3 },
      report: ({ what }: { what: string }) => void taken.push(what),
      say: (n: any) => said.push(n.message ?? n._tag)
    }
    const holder = new Holder(a)
    const standbys = new Standbys(a, holder, stop.signal)
    standbys.set({ role: "standby", claim: "10-0-0-1", address, term: 3, holder: "other" })
    standbys.hear(heard("has", other))
    await vi.waitUntil(() => said.length > 0)
    await new Promise((r) => setTimeout(r, 300))
    stop.abort()
    expect(said.slice(0, 2)).toEqual(["Silent", "Took"])
    expect(taken).toEqual(["taken"])
  })
})
