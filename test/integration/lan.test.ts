import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, expect, it } from "vitest"
import { isStopped } from "../../infra/local/identity.ts"
import { addressesOn, expectNoHolder, expectOneHolder, Lan, withLan } from "../support/lan.ts"
import { stays, until } from "../support/until.ts"

const one = "10.77.1.1"
const both = [one, "fd77::1:1"]
const marked = fileURLToPath(new URL("../support/lan/marked.fixture.ts", import.meta.url))

withLan("the laboratory's LAN", () => {
  let lan: Lan
  beforeAll(async () => {
    lan = await Lan.open()
  })
  afterAll(async () => {
    await lan.close()
  })
  afterEach(async () => {
    for (const host of [...lan.nodes, "stranger"]) {
      const put = (await addressesOn(lan, host)).intersection(new Set(both))
      if (put.size > 0) await lan.disown(host, ...put)
    }
    expect(await lan.observer.seen()).toMatchObject({ lost: 0 })
  })

  const macOf = (host: string) => lan.addressesOf(host).lan.mac
  const answers = async (address = one) => {
    const macs = (await lan.observer.ask([address])).get(address) ?? []
    return macs.map((mac) => lan.hostOf(mac) ?? mac)
  }
  /** The kernel takes up to a second until it believes in a carrier again. */
  const answersAgain = () => until("n1 to answer", async () => (await answers()).join() === "n1")
  /** Whether the node reaches the network's other end, by asking for its MAC. */
  const reaches = async (host: string, address: string) => {
    await lan.run(host, "ip", "neigh", "flush", "all")
    await lan.run(host, "bash", "-c", `echo >/dev/udp/${address}/9; sleep 0.1`)
    return (await lan.run(host, "ip", "neigh", "show", address)).includes("lladdr")
  }

  it("has one holder of an address that one node has, and tells who answers for one that two or none have", async () => {
    await lan.own("n1", ...both)
    await expectOneHolder(lan, both, { named: () => "n1" })
    await expect(expectOneHolder(lan, [one], { named: () => "n2" })).rejects.toThrow(
      "10.77.1.1: answered by n1, where n2 is named"
    )
    await lan.own("n2", one)
    await expect(expectOneHolder(lan, both)).rejects.toThrow(
      /each:\n {2}10.77.1.1: answered by n1 and n2; on the link of n1 and n2$/
    )
    await lan.disown("n1", one)
    await lan.disown("n2", one)
    await expect(expectOneHolder(lan, [one])).rejects.toThrow("answered by nobody; on the link of nobody")
    await expectNoHolder(lan, [one])
  })

  it("cuts a node's cable, which the node sees, and mends it", async () => {
    await lan.own("n1", one)
    await lan.cut("n1", "lan")
    expect(await lan.run("n1", "ip", "link", "show", "eth0")).toContain("NO-CARRIER")
    expect(await answers()).toEqual([])
    expect(await reaches("n1", "10.78.0.1")).toBe(true)
    await lan.mend("n1", "lan")
    await answersAgain()
  })

  it("cuts a link further away, which the node cannot see", async () => {
    await lan.own("n1", one)
    await lan.cut("n1", "lan", { carrier: true })
    expect(await lan.run("n1", "ip", "link", "show", "eth0")).toContain("LOWER_UP")
    expect(await answers()).toEqual([])
    expect(await reaches("n1", lan.addressesOf("n2").lan.ipv4)).toBe(false)
    await lan.mend("n1", "lan")
    await answersAgain()
  })

  it("cuts the second network alone", async () => {
    await lan.own("n1", one)
    for (const carrier of [true, false]) {
      await lan.cut("n1", "mgmt", { carrier })
      expect(await reaches("n1", "10.78.0.1")).toBe(false)
      expect(await reaches("n2", "10.78.0.1")).toBe(true)
      expect(await answers()).toEqual(["n1"])
      await lan.mend("n1", "mgmt")
      await until("the way back", () => reaches("n1", "10.78.0.1"))
    }
  })

  it("makes a link deaf: what the node says is heard, and it hears nothing", async () => {
    await lan.own("n1", one)
    await lan.deafen("n1")
    expect(await answers()).toEqual([])
    const mark = lan.observer.mark()
    const { ipv4 } = lan.addressesOf("n1").lan
    expect(await reaches("n1", lan.addressesOf("n2").lan.ipv4)).toBe(false)
    expect(await lan.observer.announcementsOf(ipv4, mark)).toContainEqual(
      expect.objectContaining({ mac: macOf("n1") })
    )
    await lan.undeafen("n1")
    await until("n1 to hear", () => reaches("n1", lan.addressesOf("n2").lan.ipv4))
    expect(await answers()).toEqual(["n1"])
  })

  it("splits into two sides, each of which answers for itself, and heals", async () => {
    await lan.own("n1", ...both)
    await lan.own("n2", ...both)
    await lan.split("n2", "n3")
    expect(await reaches("n2", lan.addressesOf("n3").lan.ipv4)).toBe(true)
    expect(await reaches("n2", lan.addressesOf("n1").lan.ipv4)).toBe(false)
    await expectOneHolder(lan, both)
    await expectOneHolder(lan, both, { sides: ["b"], named: () => "n2" })
    await lan.heal()
    await expect(expectOneHolder(lan, [one])).rejects.toThrow("answered by n1 and n2")
  })

  it("loses a host, with everything that ran on it, and boots it as it was made", async () => {
    await lan.own("n1", one)
    const program = lan.spawn("n1", "sh", ["-c", "echo up; sleep 1000 & setsid sleep 1000 & wait"])
    // A shell, and what it has forked by then.
    const processes = await until("it to run, with its two children", () => {
      const all = lan.cables.host("n1").namespace.processes()
      return program.log().includes("up") && all.length === 3 && all
    })
    await lan.powerCut("n1")
    expect(lan.isOn("n1")).toBe(false)
    expect(await answers()).toEqual([])
    expect(await program.ended).toBe(null)
    for (const pid of processes) await until(`${pid} to have ended`, () => !isAlive(pid))
    await lan.powerOn("n1")
    expect(await answers()).toEqual([])
    expect(await answers(lan.addressesOf("n1").lan.ipv4)).toEqual(["n1"])
    await lan.own("n1", one)
    expect(await answers()).toEqual(["n1"])
  })

  it("keeps a link cut over a reboot", async () => {
    await lan.cut("n1", "lan", { carrier: true })
    await lan.powerCut("n1")
    await lan.powerOn("n1")
    expect(await answers(lan.addressesOf("n1").lan.ipv4)).toEqual([])
    await lan.mend("n1", "lan")
    expect(await answers(lan.addressesOf("n1").lan.ipv4)).toEqual(["n1"])
  })

  it("pauses a host: it neither answers nor runs nor ages, and goes on where it was", async () => {
    await lan.run("n1", process.execPath, marked, "4", ...both)
    const program = lan.spawn("n1", "sh", ["-c", "while :; do sleep 0.01; echo; done"])
    await until("it to run", () => program.log() !== "")
    await lan.pause("n1")
    const said = program.log().length
    expect(await answers()).toEqual([])
    await stays("the host is paused", () => program.log().length === said && isStopped(program.pid), 4_200)
    await lan.resume("n1")
    expect((await addressesOn(lan, "n1")).intersection(new Set(both)).size).toBe(2)
    expect(await answers()).toEqual(["n1"])
    await until("it to run again", () => program.log().length > said)
    await until("the addresses to age again", async () => !(await addressesOn(lan, "n1")).has(one))
    await program.kill("SIGKILL")
  })

  it("stops a program alone: the kernel goes on answering", async () => {
    await lan.own("n1", one)
    const program = lan.spawn("n1", "sleep", ["1000"])
    await program.stop()
    expect(isStopped(program.pid)).toBe(true)
    expect(await answers()).toEqual(["n1"])
    program.continue()
    await until("it to go on", () => !isStopped(program.pid))
    expect(await program.kill("SIGKILL")).toBe(null)
    expect(program.hasEnded()).toBe(true)
  })

  it("has a stranger who takes an address, and says so", async () => {
    await lan.own("n1", ...both)
    await lan.own("stranger", ...both)
    const mark = lan.observer.mark()
    await lan.announceByStranger(...both)
    for (const address of both) {
      expect((await answers(address)).toSorted()).toEqual(["n1", "stranger"])
      const said = await lan.observer.announcementsOf(address, mark)
      expect(said.map(({ mac }) => mac)).toEqual([macOf("stranger")])
    }
  })

  it("has an ARP proxy that answers for everything", async () => {
    await lan.own("n1", ...both)
    await lan.proxyByStranger(true)
    for (const address of both) expect((await answers(address)).toSorted()).toEqual(["n1", "stranger"])
    for (const unused of ["10.77.200.200", "fd77::dead"]) expect(await answers(unused)).toEqual(["stranger"])
    expect(await answers(lan.addressesOf("stranger").lan.ipv4)).toEqual(["stranger"])
    await lan.proxyByStranger(false)
    expect(await answers("10.77.200.200")).toEqual([])
  })
})

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
