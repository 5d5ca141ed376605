import { describe, expect, it } from "@effect/vitest"
import { all, only, World } from "../../test/support/world.ts"
import type { ServiceParts } from "../domain/objects.fixture.ts"

const port = (number: number, protocol = "TCP", more: object = {}): NonNullable<ServiceParts["spec"]> => ({
  ports: [{ port: number, protocol }],
  ...more
})
const local = (app: string) => ({ externalTrafficPolicy: "Local", selector: { app } })
const key = { "external-ip-share": "k" }

const worldWith = async (spec: NonNullable<ServiceParts["spec"]>) => {
  const world = new World(all)
  await world.pool("lan", { cidr: "10.0.0.0/29" })
  await world.asking("one", "auto", { annotations: key, spec })
  await world.settle()
  return world
}

describe("a sharing key", () => {
  it.each<[string, string, string, NonNullable<ServiceParts["spec"]>]>([
    ["on another port", "default/two", "auto", port(81)],
    ["on the same port of another protocol", "default/two", "auto", port(80, "UDP")],
    ["for a list", "default/two", "10.0.0.1", port(81)]
  ])("lets two Services of one namespace share an address, %s", async (_, name, what, spec) => {
    const world = await worldWith(port(80))
    await world.asking(name, what, { annotations: key, spec })
    await world.settle()
    expect(world.externalIPs(name)).toEqual(["10.0.0.1"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/one", name] })
  })

  it("lets one share that waited for a Service with externalTrafficPolicy Local, once that has it no more", async () => {
    const world = await worldWith(port(80, "TCP", local("a")))
    await world.asking("two", "10.0.0.1", {
      annotations: key,
      spec: port(81, "TCP", { selector: { app: "b" } })
    })
    await world.settle()
    expect(world.externalIPs("two")).toBeUndefined()
    await world.edit("one", { spec: { externalTrafficPolicy: "Cluster" } })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/one", "default/two"] })
  })

  it.each<[string, string, object, NonNullable<ServiceParts["spec"]>]>([
    ["the port is the same", "default/two", key, port(80)],
    ["the key is another one", "default/two", { "external-ip-share": "other" }, port(81)],
    ["there is no key", "default/two", {}, port(81)],
    ["the namespace is another one", "shop/two", key, port(81)]
  ])("does not where %s", async (_, name, annotations, spec) => {
    const world = await worldWith(port(80))
    await world.asking(name, "auto", { annotations: { ...annotations }, spec })
    await world.settle()
    expect(world.externalIPs(name)).toEqual(["10.0.0.2"])
    expect(world.held["10.0.0.1"]).toEqual(["default/one"])
  })

  it("lets Services of local traffic share only if they select the same pods", async () => {
    const world = await worldWith(port(80, "TCP", local("a")))
    await world.asking("two", "auto", { annotations: key, spec: port(81, "TCP", local("b")) })
    await world.asking("three", "auto", { annotations: key, spec: port(82, "TCP", local("a")) })
    await world.settle()
    expect(world.externalIPs("two")).toEqual(["10.0.0.2"])
    expect(world.externalIPs("three")).toEqual(["10.0.0.1"])
  })

  it("says who has the port that a Service wants on a certain address", async () => {
    const world = await worldWith(port(80))
    await world.asking("two", "10.0.0.1", { annotations: key, spec: port(80) })
    await world.settle()
    expect(world.events("services/default/two")).toEqual([
      "AllocationFailed: 10.0.0.1 is shared by Service default/one, which has port 80/TCP too"
    ])
  })

  it("keeps the address for the last Service, and frees it with that", async () => {
    const world = await worldWith(port(80))
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.settle()
    await world.deleteService("one")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/two"] })
    await world.annotate("two", { "external-ip": null })
    await world.settle()
    expect(world.held).toEqual({})
  })

  it("is not shared by two that have one port, even if two hosts enter them at the same time", async () => {
    const world = await worldWith(port(80))
    const second = world.another(only("allocate-on-annotate"))
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.asking("three", "auto", { annotations: key, spec: port(81) })
    // It knows both, and the claim as it is before the other host enters one of them.
    second.cluster.goStale()
    await world.settle()
    const [shares] = ["two", "three"].filter((name) => world.externalIPs(name)?.[0] === "10.0.0.1")
    await world.annotate(shares!, { "external-ip": null })
    await world.settle()
    expect(world.held["10.0.0.1"]).toEqual(["default/one"])
    await world.annotate(shares!, { "external-ip": "auto" })
    await world.settle()
    await second.settle()
    expect(second.troubles.some((cause) => cause.includes("it changed meanwhile"))).toBe(true)
    expect(world.held["10.0.0.1"]).toHaveLength(2)
    expect(Object.values(world.held).flat().toSorted()).toEqual([
      "default/one",
      "default/three",
      "default/two"
    ])
  })

  it("enters new ports into the claim, so that the old ones are free for others", async () => {
    const world = await worldWith(port(80))
    await world.edit("one", { spec: { ports: [{ port: 443, protocol: "TCP" }] } })
    await world.settle()
    await world.asking("two", "auto", { annotations: key, spec: port(80) })
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/one", "default/two"] })
  })

  it.each<[string, (world: World) => Promise<unknown>]>([
    ["has left it", (world) => world.deleteService("one")],
    ["has other ports", (world) => world.edit("one", { spec: { ports: [{ port: 443, protocol: "TCP" }] } })]
  ])("serves who waits for a share as soon as the one in its way %s", async (_, happens) => {
    const world = await worldWith(port(80))
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.asking("waiting", "10.0.0.1", { annotations: key, spec: port(80) })
    await world.settle()
    expect(world.externalIPs("waiting")).toBeUndefined()
    await happens(world)
    await world.settle()
    expect(world.externalIPs("waiting")).toEqual(["10.0.0.1"])
  })

  it("is seen by the sweep where an event was lost", async () => {
    const world = await worldWith(port(80))
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.asking("waiting", "10.0.0.1", { annotations: key, spec: port(80) })
    await world.settle()
    await world.deleteService("one")
    await world.another(only("free-on-delete")).start()
    const after = world.another()
    await after.sweep()
    expect(after.externalIPs("waiting")).toEqual(["10.0.0.1"])
  })

  it("lets a Service that was created again share as before, as its former self is in nobody's way", async () => {
    const world = await worldWith(port(80))
    await world.asking("two", "10.0.0.1", { annotations: key, spec: port(81) })
    await world.settle()
    const allocator = world.another(only("allocate-on-annotate"))
    await world.deleteService("two")
    await world.asking("two", "10.0.0.1", { annotations: key, spec: port(81) })
    await allocator.settle()
    expect(allocator.externalIPs("two")).toEqual(["10.0.0.1"])
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/one", "default/two"] })
  })

  it("that is broken by an edit moves nobody, and is told", async () => {
    const world = await worldWith(port(80))
    await world.asking("two", "auto", { annotations: key, spec: port(81) })
    await world.settle()
    await world.edit("two", { spec: { ports: [{ port: 80, protocol: "TCP" }] } })
    await world.settle()
    expect([world.externalIPs("one"), world.externalIPs("two")]).toEqual([["10.0.0.1"], ["10.0.0.1"]])
    expect(world.events("services/default/two").at(-1)).toBe(
      "SharingConflict: 10.0.0.1 is shared by Service default/one, which has port 80/TCP too; what comes for it goes to one of them only"
    )
  })
})
