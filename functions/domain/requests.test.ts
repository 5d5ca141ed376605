import { describe, expect, it } from "@effect/vitest"
import { askingFor, type ServiceParts, serviceOf } from "./objects.fixture.ts"
import { type Request, requestOf, wantsAddress } from "./requests.ts"

const ours = "ipcontroller.ext/external-ip"
const request = (parts: ServiceParts, loadBalancers: "default" | "class" = "default") =>
  requestOf(serviceOf("web", parts), { loadBalancers })
const annotated = (what: string, spec: ServiceParts["spec"] = {}): ServiceParts => ({
  annotations: { "external-ip": what },
  spec
})
const dual = { ipFamilies: ["IPv6", "IPv4"], ipFamilyPolicy: "PreferDualStack" }

describe("a Service asks for", () => {
  it.each<[string, ServiceParts, Request]>([
    ["nothing", {}, { _tag: "None" }],
    ["one address by auto", annotated("auto"), { _tag: "Auto", families: ["IPv4"] }],
    ["one by auto with spaces", annotated(" auto "), { _tag: "Auto", families: ["IPv4"] }],
    ["one of its first family by auto", annotated("auto", dual), { _tag: "Auto", families: ["IPv6"] }],
    [
      "one IPv4 address when it has no family yet",
      annotated("auto", { ipFamilies: [] }),
      { _tag: "Auto", families: ["IPv4"] }
    ],
    ["an address", annotated("192.168.0.250"), { _tag: "Addresses", addresses: ["192.168.0.250"] }],
    [
      "one of each family",
      annotated("192.168.0.250, FD00::0010", dual),
      { _tag: "Addresses", addresses: ["192.168.0.250", "fd00::10"] }
    ],
    ["one as a load balancer", { spec: { type: "LoadBalancer" } }, { _tag: "Auto", families: ["IPv4"] }],
    [
      "one of each family as a load balancer",
      { spec: { type: "LoadBalancer", ...dual } },
      { _tag: "Auto", families: ["IPv6", "IPv4"] }
    ],
    [
      "one as a load balancer of our class",
      { spec: { type: "LoadBalancer", loadBalancerClass: ours } },
      { _tag: "Auto", families: ["IPv4"] }
    ],
    [
      "nothing as a load balancer of another class",
      { spec: { type: "LoadBalancer", loadBalancerClass: "x.io/y" } },
      { _tag: "None" }
    ],
    [
      "its loadBalancerIP",
      { spec: { type: "LoadBalancer", loadBalancerIP: "10.0.0.1" } },
      { _tag: "Addresses", addresses: ["10.0.0.1"] }
    ],
    [
      "what its annotation says, not its type",
      annotated("10.0.0.2", { type: "LoadBalancer", loadBalancerIP: "10.0.0.1" }),
      { _tag: "Addresses", addresses: ["10.0.0.2"] }
    ],
    [
      "one from a pool, to be shared",
      { annotations: { "external-ip": "auto", "external-ip-pool": "lan", "external-ip-share": "key" } },
      { _tag: "Auto", families: ["IPv4"], pool: "lan", share: "key" }
    ]
  ])("%s", (_, parts, want) => {
    expect(request(parts)).toEqual(want)
    expect(wantsAddress(request(parts))).toBe(want._tag !== "None")
  })

  it("nothing as a load balancer without class, where those are another controller's", () => {
    expect(request({ spec: { type: "LoadBalancer" } }, "class")).toEqual({ _tag: "None" })
    expect(request({ spec: { type: "LoadBalancer", loadBalancerClass: ours } }, "class")._tag).toBe("Auto")
    expect(request(annotated("auto", { type: "LoadBalancer" }), "class")._tag).toBe("Auto")
  })

  it("nothing while it is being deleted", () => {
    const { metadata, ...rest } = askingFor("auto", "web")
    const service = { ...rest, metadata: { ...metadata, deletionTimestamp: "2026-01-02T00:00:00Z" } }
    expect(requestOf(service, { loadBalancers: "default" })).toEqual({ _tag: "None" })
  })

  it("nothing, as an object with metadata only", () => {
    const { metadata } = serviceOf("web")
    expect(requestOf({ metadata }, { loadBalancers: "default" })).toEqual({ _tag: "None" })
  })
})

const manyPorts = (count: number) => ({
  ports: Array.from({ length: count }, (_, index) => ({ port: index + 1, protocol: "TCP" }))
})

describe("a Service is refused", () => {
  it.each<[string, ServiceParts, string, string]>([
    ["an empty annotation", annotated(""), "InvalidAddress", 'write "auto"'],
    ["another word", annotated("yes"), "InvalidAddress", '"yes" is not an IP address'],
    ["half an address", annotated("10.1"), "InvalidAddress", "192.168.0.250"],
    ["leading zeros", annotated("010.0.0.1"), "InvalidAddress", "write 10.0.0.1"],
    ["an IPv4-mapped address", annotated("::ffff:10.0.0.1"), "InvalidAddress", "write 10.0.0.1"],
    ["a gap in the list", annotated("10.0.0.1,"), "InvalidAddress", "an entry is empty"],
    [
      "two of one family",
      annotated("10.0.0.1,10.0.0.2"),
      "InvalidAddress",
      "10.0.0.1 and 10.0.0.2 are both IPv4"
    ],
    ["a family that it does not serve", annotated("fd00::1"), "FamilyMismatch", "serves IPv4 only"],
    [
      "an ExternalName Service",
      annotated("auto", { type: "ExternalName" }),
      "UnsupportedService",
      "change its type"
    ],
    ["a headless Service", annotated("auto", { clusterIP: "None" }), "UnsupportedService", "headless"],
    [
      "the class of another controller",
      annotated("auto", { type: "LoadBalancer", loadBalancerClass: "x.io/y" }),
      "ForeignLoadBalancerClass",
      "x.io/y belongs to another controller"
    ],
    [
      "a loadBalancerIP that is none",
      { spec: { type: "LoadBalancer", loadBalancerIP: "10.1" } },
      "InvalidAddress",
      "spec.loadBalancerIP"
    ],
    [
      "more ports than a claim can say",
      annotated("auto", manyPorts(1025)),
      "TooManyPorts",
      "1025 ports, and an external address can be had for 1024 at most"
    ],
    [
      "a longer key than a claim can say",
      { annotations: { "external-ip": "10.0.0.1", "external-ip-share": "k".repeat(254) } },
      "InvalidSharingKey",
      "the key has 254 characters; write one of 253 at most"
    ],
    [
      "the same as a load balancer",
      { annotations: { "external-ip-share": "k".repeat(254) }, spec: { type: "LoadBalancer" } },
      "InvalidSharingKey",
      "external-ip-share"
    ]
  ])("for %s", (_, parts, reason, hint) => {
    expect(request(parts)).toMatchObject({ _tag: "Refused", reason, message: expect.stringContaining(hint) })
  })
})
