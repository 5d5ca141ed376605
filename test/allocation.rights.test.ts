import { expect, it } from "vitest"
import { upon } from "./support/faults.ts"
import { all, only, World } from "./support/world.ts"

const lan = { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.2"]] } as const

it("auto does not make an address one's own that a stranger lists by hand as well", async () => {
  const w = new World()
  await w.pool("lan", lan)
  await w.service("x/one", { spec: { externalIPs: ["10.0.0.1"] } })
  await w.service("y/two", { spec: { externalIPs: ["10.0.0.1"] } })
  await w.settle()
  await w.annotate("y/two", { "external-ip": "auto" })
  await w.settle()
  expect(w.carries("y/two")).toBe("10.0.0.2")
})

it("waits for such an address, and is not given it by a restart either", async () => {
  const w = new World()
  await w.pool("lan", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.1"]] })
  await w.service("x/one", { spec: { externalIPs: ["10.0.0.1"] } })
  await w.settle()
  await w.asking("y/two", "auto", { spec: { externalIPs: ["10.0.0.1"] } })
  await w.settle()
  await w.sweep()
  const before = w.carries("y/two")
  await w.start()
  expect(w.carries("y/two")).toBe(before)
})

it("an annotation that its author extended takes no second address", async () => {
  const w = new World()
  await w.pool("lan", lan)
  await w.asking("a")
  await w.settle()
  await w.annotate("a", { "ipcontroller.ext/allocated": "10.0.0.1,10.0.0.2" })
  await w.settle()
  await w.sweep()
  expect(Object.keys(w.held)).toEqual(["10.0.0.1"])
})

it("an address that was claimed, and never published, does not stay with a request that has become unreadable", async () => {
  const w = new World([])
  await w.pool("lan", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.1"]] })
  await w.asking("a")
  const host = w.another(all, {
    through: upon("mergePatch Service", () => w.annotate("a", { "external-ip": "10.1" }))
  })
  host.cluster.wakeAll()
  await host.settle()
  await w.asking("b")
  await host.settle()
  await host.sweep()
  expect(w.held).toEqual({ "10.0.0.1": ["default/b"] })
})

it("RequireDualStack holds no IPv4 address while there is no IPv6 one", async () => {
  const w = new World([])
  await w.pool("p4", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.1"]] })
  await w.pool("p6", { cidr: "fd00::/120", ranges: [["fd00::1", "fd00::1"]] })
  await w.service("six", { spec: { ipFamilies: ["IPv6"] } })
  await w.service("both", {
    spec: { type: "LoadBalancer", ipFamilyPolicy: "RequireDualStack", ipFamilies: ["IPv4", "IPv6"] }
  })
  const host = w.another(all, {
    through: upon("create IpClaim", async () => {
      await w.annotate("six", { "external-ip": "auto" })
      const quick = w.another()
      quick.cluster.wakeAll()
      await quick.settle()
    })
  })
  host.cluster.wakeAll()
  await host.settle()
  await w.asking("four")
  await host.settle()
  await host.sweep()
  expect(w.held).toEqual({ "fd00::1": ["default/six"], "10.0.0.1": ["default/four"] })
})

it("an address written by hand is claimed for one that may share it by now", async () => {
  const w = new World(only("allocate-on-annotate"))
  await w.pool("lan", lan)
  await w.asking("one", "10.0.0.1", { annotations: { "external-ip-share": "k" } })
  await w.settle()
  await w.service("two", {
    annotations: { "external-ip-share": "k" },
    spec: { externalIPs: ["10.0.0.1"], ports: [{ port: 81, protocol: "TCP" }] }
  })
  await w.settle()
  const late = w.another()
  await late.sweep()
  expect(w.held["10.0.0.1"]).toEqual(["default/one", "default/two"])
})

it("an address is shared by one who asks for it and one who lists it by hand, whoever comes first", async () => {
  const w = new World()
  await w.asking("one", "10.0.0.1", { annotations: { "external-ip-share": "k" } })
  await w.service("two", {
    annotations: { "external-ip-share": "k" },
    spec: { externalIPs: ["10.0.0.1"], ports: [{ port: 81, protocol: "TCP" }] }
  })
  await w.settle()
  await w.pool("lan", lan)
  await w.settle()
  expect(w.held["10.0.0.1"]?.toSorted()).toEqual(["default/one", "default/two"])
  expect(w.externalIPs("one")).toEqual(["10.0.0.1"])
})

it("the older of two that wait to share is first, though it was woken together with the younger", async () => {
  const w = new World()
  await w.pool("lan", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.1"]] })
  await w.asking("a", "auto", { annotations: { "external-ip-share": "k" } })
  await w.asking("b", "auto", {
    annotations: { "external-ip-share": "k" },
    spec: { ports: [{ port: 80, protocol: "TCP" }] }
  })
  await w.asking("c", "auto", {
    annotations: { "external-ip-share": "k" },
    spec: { ports: [{ port: 80, protocol: "TCP" }] }
  })
  await w.settle()
  await w.annotate("b", { x: "1" })
  await w.settle()
  await w.annotate("b", { "external-ip": null })
  await w.settle()
  await w.annotate("b", { "external-ip": "auto" })
  await w.settle()
  await w.edit("a", { spec: { ports: [{ port: 81, protocol: "TCP" }] } })
  await w.settle()
  expect(w.held["10.0.0.1"]).toEqual(["default/a", "default/b"])
})

it("the sweep finds no drift, each minute, in what cannot be had", async () => {
  const w = new World()
  await w.pool("p6", { cidr: "fd00::/120", ranges: [["fd00::1", "fd00::3"]] })
  await w.asking("one", "fd00::1", {
    annotations: { "external-ip-share": "k" },
    spec: { ipFamilies: ["IPv6"] }
  })
  await w.service("two", {
    annotations: { "external-ip-share": "k" },
    spec: {
      type: "LoadBalancer",
      ipFamilyPolicy: "PreferDualStack",
      ipFamilies: ["IPv4", "IPv6"],
      ports: [{ port: 81, protocol: "TCP" }]
    }
  })
  await w.settle()
  await w.sweep()
  const n = w.cluster.runs.length
  await w.sweep()
  expect(w.cluster.runs.slice(n).map((r) => `${r.function} ${r.target}`)).toEqual(["sweep tick"])
})
