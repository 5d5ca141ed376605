import { execFile, execFileSync } from "node:child_process"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "@effect/vitest"
import { repository } from "../support/cluster.ts"
import { suite } from "../support/suite.ts"

const fixture = join(repository, "runtime/node/kernel/kernel.fixture.ts")
const env = { ...process.env, NODE_COMPILE_CACHE: join(repository, "node_modules/.cache/extip") }
const isRoot = process.getuid?.() === 0
/** As root the rights are those of a node; anybody else has them in a user namespace of their own. */
const [program, ...options] = isRoot ? (["unshare", "-n"] as const) : (["unshare", "-Urn"] as const)

const unavailable = (() => {
  try {
    execFileSync(program, [...options, "ip", "link", "add", "a0", "type", "veth", "peer", "name", "a1"], {
      stdio: "pipe"
    })
    return undefined
  } catch (cause) {
    const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : String(cause)
    return `no network namespace with a veth pair can be made here: ${said}`
  }
})()

/** What a scenario of the fixture saw, in a network namespace of its own. */
const seen = async (scenario: string, before: ReadonlyArray<string> = []): Promise<any> => {
  const { stdout } = await promisify(execFile)(
    program,
    [...options, ...before, process.execPath, fixture, scenario],
    { env, timeout: 50_000 }
  )
  return JSON.parse(stdout).answer
}

suite("the kernel", unavailable, () => {
  describe("with an address that is put on a link", () => {
    it("keeps it whole, marked, not preferred, without a route, and for the seconds that were said", async () => {
      const { done, shown, link } = await seen("puts")
      expect(done).toEqual([0, 0])
      const common = { deprecated: true, dynamic: true, noprefixroute: true, preferred_life_time: 0 }
      expect(shown).toContainEqual(expect.objectContaining({ ...common, local: "10.0.0.1", prefixlen: 32 }))
      expect(shown).toContainEqual(expect.objectContaining({ ...common, local: "fd00::1", prefixlen: 128 }))
      expect(link).toMatchObject({ name: "eth0", up: true, carrier: true, kind: "veth", defaultRoutes: [4] })
      const marks = link.addresses.map((one: any) => [one.address, one.prefix, one.marked, one.linkLocal])
      expect(marks).toContainEqual(["10.0.0.1", 32, true, false])
      expect(marks).toContainEqual(["fd00::1", 128, true, false])
      expect(marks).toContainEqual(["192.0.2.5", 24, false, false])
      const lifetimes = link.addresses.filter((one: any) => one.marked).map((one: any) => one.validSeconds)
      expect(lifetimes.every((seconds: number) => seconds > 25 && seconds <= 30)).toBe(true)
    })

    it("removes it by itself when its lifetime is over, and tells", async () => {
      const { gone, millis } = await seen("expires")
      expect(gone.map((event: any) => [event.address, event.marked]).toSorted()).toEqual([
        ["10.0.0.1", true],
        ["fd00::1", true]
      ])
      expect(millis).toBeGreaterThan(800)
      expect(millis).toBeLessThan(5_000)
    })

    it("answers for it, and for no other, whether all are asked or it alone", async () => {
      const { mac, silent, ipv4, ipv6 } = await seen("answers")
      expect(silent).toEqual([])
      const toUs = { what: "has", mac, toUs: true, isReply: true }
      const toAll = { what: "has", mac, toUs: false, isReply: false }
      expect(ipv4).toEqual([1, 2].map(() => ({ ...toUs, address: "10.0.0.1" })))
      expect(ipv6).toEqual([toAll, toAll, toUs, toUs].map((one) => ({ ...one, address: "fd00::1" })))
    })

    it("does so for a thousand, renews them without telling, and removes them", async () => {
      const { put, renewed, valid, removed } = await seen("thousand")
      expect(put).toMatchObject({ failed: 0, count: 1_000 })
      expect(renewed).toMatchObject({ failed: 0, count: 1_000 })
      expect(valid).toBeGreaterThan(30)
      expect(removed).toMatchObject({ failed: 0, count: 0 })
    })

    it("leaves alone what somebody else has put there: EEXIST to put, EADDRNOTAVAIL to remove, as for what is absent", async () => {
      const { put, removed, told, before, after } = await seen("foreign")
      expect(put).toEqual([17, 17, 0])
      expect(removed).toEqual([99, 99, 0, 99, 99])
      const others = (shown: ReadonlyArray<any>) => shown.filter((one) => one.scope === "global")
      expect(others(after)).toEqual(others(before))
      expect(told).toEqual(
        expect.arrayContaining([
          ["192.0.2.5", false],
          ["fd00::5", false],
          ["10.0.0.1", true]
        ])
      )
    })

    it("knows it for ours after a restart, and a removal is not undone by a renewal that takes long", async () => {
      expect(await seen("adopts")).toEqual({
        closed: [9],
        marked: ["10.0.0.1", "fd00::1"],
        renewed: [0, 0],
        removed: [0, 0],
        left: []
      })
    })
  })

  describe("tells", () => {
    it("of an address that is removed by hand, of the cable, and of links; IPv6 addresses go when their link does", async () => {
      const { told, whileDown, absent } = await seen("events")
      const link = { what: "link", name: "eth0", up: true, carrier: true, removed: false }
      expect(told).toEqual([
        ["ip addr del", { what: "address-removed", index: 2, address: "10.0.0.1", marked: true }],
        ["the other end goes down", { ...link, index: 2, carrier: false }],
        ["the other end comes up", { ...link, index: 2 }],
        ["the link goes down", { what: "address-removed", index: 2, address: "fd00::1", marked: true }],
        ["the link comes up", { ...link, index: 2 }],
        ["the link is removed", expect.objectContaining({ what: "link", index: 2, removed: true })]
      ])
      expect(whileDown).toMatchObject({ up: false, carrier: false })
      expect(whileDown.addresses.map((one: any) => one.address)).toEqual(["10.0.0.2"])
      expect(absent).toEqual([19])
    })

    it("that events were lost when there were too many, and goes on telling", async () => {
      // What was removed meanwhile is put anew, what somebody else has put there is not touched.
      expect((await seen("overrun")).put).toEqual([0, 17])
    })
  })

  describe("passes frames:", () => {
    it("an announcement changes the caches of others, a probe that tells of a release does not", async () => {
      const { before, after, mac, other } = await seen("announces")
      expect(before).toEqual([other, other])
      expect(after).toEqual([mac, mac])
    })

    it("signatures arrive through a bridge that snoops multicast", async () => {
      const taken = { term: 7, taken: true, released: false }
      const released = { term: 4_294_967_295, taken: false, released: true }
      const said = { mac: true, toUs: false, isReply: false }
      const heard = await seen("bridge")
      expect(heard).toHaveLength(5)
      expect(heard).toEqual(
        expect.arrayContaining([
          { ...said, what: "has", address: "10.0.0.1", signature: taken },
          { ...said, what: "has", address: "10.0.0.1", signature: taken, isReply: true },
          { ...said, what: "asks", address: "10.0.0.1", signature: released },
          { ...said, what: "has", address: "fd00::1", signature: taken },
          { ...said, what: "asks", address: "fd00::1", signature: released }
        ])
      )
    })

    it("5,000 in one burst, in order, none of them lost", async () => {
      expect(await seen("burst")).toMatchObject({ sent: 5_000, dropped: 0, inOrder: true })
    })

    it("none while the link is down, and again when it is up, by the same socket", async () => {
      expect(await seen("down")).toEqual({ whileDown: 0, removed: 0 })
    })

    it("not those of a VLAN upon the link", async () => {
      expect(await seen("vlan")).toEqual(["10.0.0.6", "10.0.0.7"])
    })
  })

  it("is found to answer for everything on every node where kube-proxy uses IPVS without strict ARP", async () => {
    const { without, loose, strict } = await seen("ipvs")
    expect(without).toBeUndefined()
    expect(loose).toContain("set ipvs.strictARP to true")
    expect(strict).toBeUndefined()
  })

  it.each([
    ["refused", "net_admin", "CAP_NET_ADMIN is missing"],
    ["refused", "net_raw", "CAP_NET_RAW is missing"],
    ["refusedPackets", "net_raw", "CAP_NET_RAW is missing"]
  ])("refuses (%s) a process without %s, which says so", async (scenario, capability, message) => {
    const said = await seen(scenario, ["setpriv", `--bounding-set=-${capability}`])
    expect(said).toMatch(new RegExp(`^KernelRefused: ${message}.*NET_ADMIN and NET_RAW$`))
  })
})
