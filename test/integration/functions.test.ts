import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import { Ours } from "../support/ours.ts"
import { withParts } from "../support/parts.ts"
import { stays, until } from "../support/until.ts"

withParts("a Service is given", (shared) => {
  let ours: Ours
  const allocatedOf = async (name: string) =>
    (await ours.cluster.get(Service, ours.ref(name)))?.metadata.annotations?.["ipcontroller.ext/allocated"]

  beforeAll(async () => {
    ours = await Ours.open(shared, "functions")
    await ours.pool("functions", { cidr: "10.78.0.0/24", ranges: [["10.78.0.10", "10.78.0.200"]] })
    await ours.start("--external-cidrs", "10.78.9.0/24")
  })
  afterAll(() => ours?.close())

  it("any address for `auto`, with an Event that kubectl shows and the annotation that says it is ours", async () => {
    await ours.service("auto")
    const address = await ours.given("auto")
    expect(address).toBe("10.78.0.10")
    expect(await allocatedOf("auto")).toBe(address)
    await ours.event("auto", "IPAllocated")
    const said = await ours.cluster.kubectl(
      "events -n functions --for service/auto -o=jsonpath={.items[*].message}"
    )
    expect(said).toContain("Assigned IP 10.78.0.10")
  })

  it("the very address that it asks for, or an Event that says who has it", async () => {
    await ours.service("certain", { annotations: { "external-ip": "10.78.0.50" } })
    await ours.shows("certain", "10.78.0.50")
    await ours.service("late", { annotations: { "external-ip": "10.78.0.50" } })
    expect(await ours.event("late", "AllocationFailed")).toContain("10.78.0.50")
    expect(await ours.shown("late")).toEqual([])
    await ours.service("nowhere", { annotations: { "external-ip": "10.99.0.1" } })
    expect(await ours.event("nowhere", "AllocationFailed")).toContain("10.99.0.1 is in no pool")
    await ours.removeService("certain")
    await ours.shows("late", "10.78.0.50")
  })

  it("what it asks for now: another address, none, and any again", async () => {
    await ours.service("changing", { annotations: { "external-ip": "10.78.0.60" } })
    await ours.shows("changing", "10.78.0.60")
    await ours.annotate("changing", { "external-ip": "10.78.0.61" })
    await ours.shows("changing", "10.78.0.61")
    await ours.unclaimed("10.78.0.60")
    await ours.annotate("changing", { "external-ip": null })
    await ours.shows("changing")
    await ours.unclaimed("10.78.0.61")
    expect(await allocatedOf("changing")).toBeUndefined()
    expect(await ours.event("changing", "ClearAssignment")).toBeDefined()
    await ours.annotate("changing", { "external-ip": "auto" })
    await ours.given("changing")
  })

  it("an ingress of mode VIP when it is of type LoadBalancer, without asking otherwise", async () => {
    await ours.service("balanced", { annotations: {}, spec: { type: "LoadBalancer" } })
    const address = await ours.given("balanced")
    const { spec, status } = (await ours.cluster.get(Service, ours.ref("balanced")))!
    expect(status.loadBalancer.ingress).toEqual([{ ip: address, ipMode: "VIP" }])
    expect(spec.externalIPs).toBeUndefined()
    await ours.service("foreign", {
      annotations: {},
      spec: { type: "LoadBalancer", loadBalancerClass: "example.com/other" }
    })
    await ours.service("wished", {
      annotations: {},
      spec: { type: "LoadBalancer", loadBalancerIP: "10.78.0.70" }
    })
    await ours.shows("wished", "10.78.0.70")
    expect(await ours.shown("foreign")).toEqual([])
  })

  it("no claim for an address that it lists by hand outside pools and --external-cidrs (CVE-2020-8554)", async () => {
    const byHand = (name: string, ...externalIPs: ReadonlyArray<string>) =>
      ours.service(name, { annotations: {}, spec: { externalIPs } })
    await byHand("stranger", "10.99.0.1", "10.96.0.1")
    expect(await ours.event("stranger", "ExternalIPRefused")).toContain("10.99.0.1 is in no pool")
    await byHand("by-hand", "10.78.0.90", "10.78.9.1")
    await byHand("by-hand-too", "10.78.0.90")
    await until("both to hold 10.78.0.90", async () => (await ours.holders("10.78.0.90"))?.length === 2)
    await until("the opened address to be claimed", () => ours.holders("10.78.9.1"))
    expect(await ours.holders("10.99.0.1")).toBeUndefined()
    await ours.removeService("by-hand")
    await until("one of them to be left", async () => (await ours.holders("10.78.0.90"))?.length === 1)
    await ours.removeService("by-hand-too")
    await ours.unclaimed("10.78.0.90")
    await ours.unclaimed("10.78.9.1")
    expect(await ours.shown("stranger")).toEqual(["10.99.0.1", "10.96.0.1"])
  })

  it("an address together with others that have its sharing key, as long as their ports differ", async () => {
    const shared_ = (name: string, port: number) =>
      ours.service(name, {
        annotations: { "external-ip": "auto", "external-ip-share": "web" },
        spec: { ports: [{ name: "p", port, protocol: "TCP" }] }
      })
    await shared_("share-80", 80)
    const address = await ours.given("share-80")
    await shared_("share-443", 443)
    await ours.shows("share-443", address)
    await shared_("share-clash", 443)
    expect(await ours.given("share-clash")).not.toBe(address)
    await ours.removeService("share-80")
    await until(
      "the other to hold it alone",
      async () => (await ours.holders(address))?.join() === "share-443"
    )
    expect(await ours.shown("share-443")).toEqual([address])
  })

  it("what it carries, again, when somebody's apply drops our entry or a status is lost", async () => {
    const address = (await ours.shown("auto"))[0]!
    await ours.cluster.patch(Service, ours.ref("auto"), { spec: { externalIPs: null } })
    await ours.shows("auto", address)
    const manifest = JSON.stringify({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "applied", namespace: "functions", annotations: { "external-ip": "auto" } },
      spec: { ports: [{ port: 80 }], externalIPs: ["10.78.9.5"] }
    })
    await ours.cluster.kubectl("apply -f -", manifest)
    await until("ours beside the user's own entry", async () => (await ours.shown("applied")).length === 2)
    const [own, given] = await ours.shown("applied")
    expect(own).toBe("10.78.9.5")
    await ours.cluster.kubectl("apply -f -", manifest.replace("10.78.9.5", "10.78.9.6"))
    await ours.shows("applied", "10.78.9.6", given!)
    const ingress = { loadBalancer: { ingress: null } }
    const balanced = (await ours.shown("balanced"))[0]!
    await ours.cluster.patch(Service, ours.ref("balanced"), { status: ingress }, "status")
    await ours.shows("balanced", balanced)
  })

  it("what it shows already, from another controller or a backup, where a pool has it and nobody holds it", async () => {
    await ours.service("adopted", {
      annotations: { "external-ip": "auto" },
      spec: { externalIPs: ["10.78.0.120"] }
    })
    await until("its claim", async () => (await ours.holders("10.78.0.120"))?.join() === "adopted")
    await until("the annotation", async () => (await allocatedOf("adopted")) === "10.78.0.120")
    await ours.service("restored", {
      annotations: { "external-ip": "auto", "ipcontroller.ext/allocated": "10.78.0.121" },
      spec: { externalIPs: ["10.78.0.121"] }
    })
    await until("its claim", async () => (await ours.holders("10.78.0.121"))?.join() === "restored")
    expect(await ours.shown("adopted")).toEqual(["10.78.0.120"])
    expect(await ours.shown("restored")).toEqual(["10.78.0.121"])
  })

  it("an address of its own when it is created again under its name: its former self's is freed", async () => {
    await ours.service("again", { annotations: { "external-ip": "10.78.0.130" } })
    await ours.shows("again", "10.78.0.130")
    const before = (await ours.cluster.get(Service, ours.ref("again")))!.metadata.uid
    await ours.removeService("again")
    const { metadata } = await ours.service("again", { annotations: { "external-ip": "10.78.0.131" } })
    expect(metadata.uid).not.toBe(before)
    await ours.shows("again", "10.78.0.131")
    await ours.unclaimed("10.78.0.130")
  })

  it("its turn: of those that wait the oldest is served first, when a pool appears and when it grows", async () => {
    const waits = { "external-ip": "auto", "external-ip-pool": "functions-later" }
    for (const name of ["turn-c", "turn-a", "turn-b"]) {
      await ours.service(name, { annotations: waits })
      await ours.event(name, "AllocationFailed")
      // creationTimestamp has seconds: those of one second are served by name.
      await new Promise((resolve) => setTimeout(resolve, 1_050 - (Date.now() % 1_000)))
    }
    await ours.pool("functions-later", { cidr: "10.78.1.0/24", ranges: [["10.78.1.1", "10.78.1.1"]] })
    await ours.shows("turn-c", "10.78.1.1")
    await stays("the younger ones wait", async () => (await ours.shown("turn-a")).length === 0, 200)
    const ranges = [["10.78.1.1", "10.78.1.3"]]
    await ours.cluster.patch(IpClaimPool, { namespace: "", name: "functions-later" }, { spec: { ranges } })
    await ours.shows("turn-a", "10.78.1.2")
    await ours.shows("turn-b", "10.78.1.3")
    await ours.shows("turn-c", "10.78.1.1")
  })

  it("nothing else when its pool shrinks or goes: it keeps its address until it gives it back", async () => {
    const pool = { namespace: "", name: "functions-later" }
    await ours.cluster.patch(IpClaimPool, pool, { spec: { ranges: [["10.78.1.200", "10.78.1.201"]] } })
    await ours.service("turn-d", {
      annotations: { "external-ip": "auto", "external-ip-pool": "functions-later" }
    })
    await ours.shows("turn-d", "10.78.1.200")
    await ours.removePool("functions-later")
    await ours.service("turn-e", {
      annotations: { "external-ip": "auto", "external-ip-pool": "functions-later" }
    })
    await ours.event("turn-e", "AllocationFailed")
    expect(
      await Promise.all(["turn-c", "turn-a", "turn-b", "turn-d"].map((name) => ours.shown(name)))
    ).toEqual([["10.78.1.1"], ["10.78.1.2"], ["10.78.1.3"], ["10.78.1.200"]])
    await ours.removeService("turn-c")
    await ours.unclaimed("10.78.1.1")
  })

  it("nothing, and is told so, when no traffic could reach it: headless and ExternalName", async () => {
    await ours.service("headless", { spec: { clusterIP: "None" } })
    expect(await ours.event("headless", "UnsupportedService")).toContain("headless")
    await ours.service("named", { spec: { type: "ExternalName", externalName: "example.com" } })
    expect(await ours.event("named", "UnsupportedService")).toContain("ExternalName")
  })
})
