import { describe, expect, it } from "@effect/vitest"
import { killedAfter, upon } from "../../test/support/faults.ts"
import { all, only, World } from "../../test/support/world.ts"

const lan = { cidr: "10.0.0.0/29" }
const key = { "external-ip-share": "k" }
const port = (number: number) => ({ ports: [{ port: number, protocol: "TCP" }] })

describe("a share that was entered, but not published", () => {
  const edits: ReadonlyArray<[string, object]> = [
    ["has the port of the other by then", { spec: port(80) }],
    ["has no key any more", { metadata: { annotations: { "external-ip-share": null } } }]
  ]

  it.each(edits)("is not published for a Service that %s", async (_, edit) => {
    const outside: { world?: World } = {}
    const first = new World(all)
    await first.pool("lan", lan)
    await first.asking("one", "auto", { annotations: key, spec: port(80) })
    await first.settle()
    const world = first.another(all, {
      through: upon("mergePatch Service", () => outside.world!.edit("two", edit))
    })
    outside.world = world
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.settle()
    await world.sweep()
    expect([world.externalIPs("one"), world.externalIPs("two")]).toEqual([["10.0.0.1"], ["10.0.0.2"]])
  })

  it.each(edits)(
    "is taken out of the claim when there is no other address for a Service that %s",
    async (_, edit) => {
      const first = new World(all)
      await first.pool("lan", { ...lan, ranges: [["10.0.0.1", "10.0.0.1"]] })
      await first.asking("one", "auto", { annotations: key, spec: port(80) })
      await first.settle()
      const dying = first.another(only("allocate-on-annotate"), { through: killedAfter(1) })
      await dying.asking("two", "auto", { annotations: key, spec: port(81) })
      await dying.settle()
      expect(first.held).toEqual({ "10.0.0.1": ["default/one", "default/two"] })
      await first.edit("two", edit)
      const next = first.another(all)
      await next.start()
      expect([next.externalIPs("one"), next.externalIPs("two")]).toEqual([["10.0.0.1"], undefined])
      expect(next.held).toEqual({ "10.0.0.1": ["default/one"] })
    }
  )

  it.each(edits)("is not published after a crash for one that %s", async (_, edit) => {
    const first = new World(all)
    await first.pool("lan", lan)
    await first.asking("one", "auto", { annotations: key, spec: port(80) })
    await first.settle()
    const dying = first.another(only("allocate-on-annotate"), { through: killedAfter(1) })
    await dying.asking("two", "auto", { annotations: key, spec: port(81) })
    await dying.settle()
    await first.edit("two", edit)
    const next = first.another(all)
    await next.start()
    await next.sweep()
    expect([next.externalIPs("one"), next.externalIPs("two")]).toEqual([["10.0.0.1"], ["10.0.0.2"]])
  })
})

describe("what a claim says of a Service that shares", () => {
  it("is not overwritten by a host that knows an older one", async () => {
    const world = new World(all)
    await world.pool("lan", lan)
    await world.asking("one", "auto", { annotations: key, spec: port(8080) })
    await world.settle()
    const second = world.another(only("allocate-on-annotate"))
    await world.edit("one", { spec: port(80) })
    second.cluster.goStale()
    await world.settle()
    await world.edit("one", { spec: port(443) })
    await world.settle()
    expect(world.claim("10.0.0.1").spec.services?.[0]?.ports).toEqual(port(443).ports)
    await second.settle()
    await world.settle()
    await world.sweep()
    await world.asking("two", "auto", { annotations: key, spec: port(443) })
    await world.settle()
    expect(world.externalIPs("two")).toEqual(["10.0.0.2"])
  })
})

describe("a Service that asks for a pool which has taken over another one's addresses", () => {
  it.each([
    ["any", "auto"],
    ["that one", "10.0.0.1"]
  ])("and for %s shares an address once and for all, or not at all", async (_, ask) => {
    const before = new World(all)
    await before.pool("lan", lan)
    await before.asking("one", "auto", { annotations: key, spec: port(80) })
    await before.settle()
    // The pool gets another name; or a part of it another pool.
    await before.deletePool("lan")
    await before.pool("gold", lan)
    await before.settle()
    // It would go on for ever: the process is ended after so many writes.
    const world = before.another(all, { through: killedAfter(100) })
    await world.asking("two", ask, { annotations: { ...key, "external-ip-pool": "gold" }, spec: port(81) })
    await world.settle()
    const told = world.events("services/default/two").filter((event) => event.startsWith("IPAllocated"))
    expect(told.length).toBeLessThanOrEqual(1)
    expect(world.troubles.join()).not.toContain("this process is dead")
  })
})

describe("a LoadBalancer that shares, and is replaced by one without key and annotations", () => {
  it("leaves the address wholly: its status shows it no more, and others may have it", async () => {
    const world = new World(all)
    await world.pool("one", { cidr: "10.0.0.1/32" })
    const asks = (number: number) => ({ annotations: key, spec: { type: "LoadBalancer", ...port(number) } })
    await world.service("one", asks(80))
    await world.service("two", asks(443))
    await world.bound("10.0.0.1")
    expect(world.held).toEqual({ "10.0.0.1": ["default/one", "default/two"] })
    await world.annotate("two", { "external-ip-share": null, "ipcontroller.ext/allocated": null })
    await world.settle()
    expect(world.ingress("two")).toEqual([])
    await world.deleteService("one")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/two"] })
  })
})
