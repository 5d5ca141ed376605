import { describe, expect, it } from "@effect/vitest"
import type { Service } from "./kinds.ts"
import { type ServiceParts, serviceOf } from "./objects.fixture.ts"
import {
  allocatedLimit,
  allocatedOf,
  handWrittenOf,
  ingressPatch,
  publishedOf,
  publishPatch,
  type ServicePatch,
  shownOf,
  withdrawPatch
} from "./publishing.ts"

const key = "ipcontroller.ext/allocated"
const given = (list: string, parts: ServiceParts = {}) =>
  serviceOf("web", { ...parts, annotations: { [key]: list } })
const loadBalancer = (
  list: string,
  ingress: NonNullable<ServiceParts["ingress"]>,
  externalIPs: Array<string> = []
) => given(list, { spec: { type: "LoadBalancer", externalIPs }, ingress })

/** The Service as the API server has it after the patch (RFC 7386). */
const patched = (service: Service, patch: ServicePatch | undefined): Service => {
  const annotations = Object.entries({ ...service.metadata.annotations, ...patch?.metadata?.annotations })
  const { externalIPs, ...spec } = { ...service.spec, ...patch?.spec }
  return {
    ...service,
    metadata: {
      ...service.metadata,
      annotations: Object.fromEntries(
        annotations.flatMap(([name, value]) => (value === null ? [] : [[name, value]]))
      )
    },
    spec: externalIPs ? { ...spec, externalIPs } : spec
  }
}

describe("what a Service shows", () => {
  it("is told apart by our annotation", () => {
    const service = given("10.0.0.1, FD00::0001,nonsense,10.0.0.1", {
      spec: { externalIPs: ["10.0.0.1", "10.0.0.9", "FD00:0::9", "010.0.0.8"] },
      ingress: [{ ip: "10.0.0.7" }, { hostname: "lb.example.org" }]
    })
    expect(allocatedOf(service)).toEqual(["10.0.0.1", "fd00::1"])
    expect(publishedOf(service)).toEqual(["10.0.0.1"])
    expect(handWrittenOf(service)).toEqual({
      addresses: new Set(["10.0.0.9", "fd00::9"]),
      unparsable: ["010.0.0.8"]
    })
    expect(shownOf(service)).toEqual(["10.0.0.1", "10.0.0.9", "fd00::9", "10.0.0.7"])
    expect(allocatedOf(serviceOf("web"))).toEqual([])
  })

  it("is ours as far as our annotation may go: whoever wrote more of it wrote it himself", () => {
    const list = Array.from({ length: 200 }, (_, index) => `10.0.0.${index + 1}`)
    const service = given(list.join(), { spec: { externalIPs: list } })
    expect(allocatedOf(service)).toEqual(list.slice(0, allocatedLimit))
    expect([...handWrittenOf(service).addresses]).toEqual(list.slice(allocatedLimit))
    expect(patched(service, publishPatch(service, ["10.0.0.1"]))).toMatchObject({
      metadata: { annotations: { [key]: "10.0.0.1" } },
      spec: { externalIPs: ["10.0.0.1", ...list.slice(allocatedLimit)] }
    })
  })

  it("is told apart once where it is much", () => {
    const service = serviceOf("web", {
      spec: { externalIPs: Array.from({ length: 200 }, (_, index) => `10.0.0.${index + 1}`) }
    })
    expect(handWrittenOf(service)).toBe(handWrittenOf(service))
  })

  it("as a load balancer is its ingress", () => {
    expect(publishedOf(loadBalancer("10.0.0.1", [{ ip: "10.0.0.1" }]))).toEqual(["10.0.0.1"])
    expect(publishedOf(loadBalancer("10.0.0.1", [], ["10.0.0.1"]))).toEqual([])
  })
})

describe("publishing", () => {
  it("writes the annotation and appends to externalIPs, in one patch", () => {
    const service = serviceOf("web", { spec: { externalIPs: ["FD00:0::9"] } })
    expect(publishPatch(service, ["10.0.0.1"])).toEqual({
      metadata: { annotations: { [key]: "10.0.0.1" } },
      spec: { externalIPs: ["FD00:0::9", "10.0.0.1"] }
    })
  })

  it("writes nothing when it is done", () => {
    const service = serviceOf("web", { spec: { externalIPs: ["10.0.0.9"] } })
    expect(publishPatch(patched(service, publishPatch(service, ["10.0.0.1"])), ["10.0.0.1"])).toBeUndefined()
    expect(publishPatch(loadBalancer("10.0.0.1", []), ["10.0.0.1"])).toBeUndefined()
    expect(
      ingressPatch(loadBalancer("10.0.0.1", [{ ip: "10.0.0.1", ipMode: "VIP" }]), ["10.0.0.1"])
    ).toBeUndefined()
  })

  it("puts back an entry of ours that somebody dropped", () => {
    expect(publishPatch(given("10.0.0.1"), ["10.0.0.1"])).toEqual({ spec: { externalIPs: ["10.0.0.1"] } })
  })

  it("replaces ours and nobody else's", () => {
    const service = given("10.0.0.1", { spec: { externalIPs: ["10.0.0.9", "10.0.0.1"] } })
    expect(publishPatch(service, ["10.0.0.2"])).toEqual({
      metadata: { annotations: { [key]: "10.0.0.2" } },
      spec: { externalIPs: ["10.0.0.9", "10.0.0.2"] }
    })
    expect(publishPatch(service, [])).toEqual(withdrawPatch(service))
  })

  it("shows a load balancer's address in its ingress, beside another controller's", () => {
    const foreign = [
      { hostname: "lb.example.org" },
      { ip: "10.9.9.9", ports: [{ port: 80, protocol: "TCP" }] }
    ]
    const service = loadBalancer("10.0.0.1", foreign)
    expect(publishPatch(serviceOf("web", { spec: { type: "LoadBalancer" } }), ["10.0.0.1"])).toEqual({
      metadata: { annotations: { [key]: "10.0.0.1" } }
    })
    expect(ingressPatch(service, ["10.0.0.1"])).toEqual({
      loadBalancer: { ingress: [...foreign, { ip: "10.0.0.1", ipMode: "VIP" }] }
    })
  })

  it("never hides the address of a Service that becomes a load balancer", () => {
    expect(publishPatch(loadBalancer("10.0.0.1", [], ["10.0.0.1"]), ["10.0.0.1"])).toBeUndefined()
    expect(publishPatch(loadBalancer("10.0.0.1", [{ ip: "10.0.0.1" }], ["10.0.0.1"]), ["10.0.0.1"])).toEqual({
      spec: { externalIPs: null }
    })
  })
})

describe("withdrawing", () => {
  it("removes ours, and never what others wrote", () => {
    const service = given("10.0.0.1", { spec: { externalIPs: ["10.0.0.9", "10.0.0.1", "010.0.0.8"] } })
    expect(withdrawPatch(service)).toEqual({
      metadata: { annotations: { [key]: null } },
      spec: { externalIPs: ["10.0.0.9", "010.0.0.8"] }
    })
    expect(withdrawPatch(patched(service, withdrawPatch(service)))).toBeUndefined()
    expect(withdrawPatch(given("10.0.0.1", { spec: { externalIPs: ["10.0.0.1"] } }))?.spec).toEqual({
      externalIPs: null
    })
  })

  it("removes ours from a load balancer's ingress first", () => {
    const foreign = { ip: "10.9.9.9" }
    expect(ingressPatch(loadBalancer("10.0.0.1", [{ ip: "10.0.0.1" }, foreign]), [])).toEqual({
      loadBalancer: { ingress: [foreign] }
    })
    expect(ingressPatch(loadBalancer("10.0.0.1", [{ ip: "10.0.0.1" }]), [])).toEqual({
      loadBalancer: { ingress: null }
    })
    expect(ingressPatch(loadBalancer("10.0.0.1", [foreign]), [])).toBeUndefined()
  })

  it("leaves a Service alone to which nothing was given", () => {
    const service = serviceOf("web", { spec: { externalIPs: ["10.0.0.9"] } })
    expect(withdrawPatch(service)).toBeUndefined()
    expect(ingressPatch(service, [])).toBeUndefined()
  })
})
