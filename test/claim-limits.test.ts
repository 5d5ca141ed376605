import { describe, expect, it } from "@effect/vitest"
import { claimLimits, IpClaim } from "../functions/domain/kinds.ts"
import { all, only, run, World } from "./support/world.ts"

const key = { "external-ip-share": "k" }
const tooLong = { "external-ip-share": "k".repeat(claimLimits.share + 1) }
const manyPorts = Array.from({ length: claimLimits.ports + 1 }, (_, index) => ({
  port: index + 1,
  protocol: "TCP"
}))
const one = { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.1"]] as const }

/** A claim with as many Services as it can name. */
const fullClaim = (origin: string, share: object) => ({
  metadata: { name: "10-0-0-1" },
  spec: {
    cidr: "10.0.0.1/32",
    pool: "lan",
    services: Array.from({ length: claimLimits.services }, (_, index) => ({
      namespace: "default",
      name: `s${index}`,
      uid: `uid-${index}`,
      origin,
      ports: [{ port: 1000 + index, protocol: "TCP" }],
      ...share
    }))
  }
})

describe("a claim that names as many Services as it can", () => {
  const worldWith = async (name: string, origin: string, share: object) => {
    const world = new World(only(name))
    await world.pool("lan", { cidr: "10.0.0.0/29" })
    await run(world.cluster.create(IpClaim, fullClaim(origin, share)))
    return world
  }

  it("is left to them: the next one with their key is given another address, and the one after that shares it", async () => {
    const world = await worldWith("allocate-on-annotate", "allocated", { share: "k" })
    await world.asking("next", "auto", { annotations: key })
    await world.asking("other", "auto", {
      annotations: key,
      spec: { ports: [{ port: 81, protocol: "TCP" }] }
    })
    await world.settle()
    expect([world.carries("next"), world.carries("other")]).toEqual(["10.0.0.2", "10.0.0.2"])
    expect(world.held["10.0.0.1"]).toHaveLength(claimLimits.services)
  })

  it("is said to be full to who asks for its address", async () => {
    const world = await worldWith("allocate-on-annotate", "allocated", { share: "k" })
    await world.asking("next", "10.0.0.1", { annotations: key })
    await world.settle()
    expect(world.events("services/default/next")).toEqual([
      "AllocationFailed: 10.0.0.1 is full: 256 Services share it already, which is the most that can"
    ])
    expect(world.held["10.0.0.1"]).toHaveLength(claimLimits.services)
  })

  it("is said to be full to who lists its address by hand", async () => {
    const world = await worldWith("claim-on-external-ip", "external", {})
    await world.service("next", { spec: { externalIPs: ["10.0.0.1"] } })
    await world.settle()
    expect(world.events("services/default/next")).toEqual([
      "ExternalIPRefused: spec.externalIPs: 10.0.0.1 is full: 256 Services share it already, which is the most that can"
    ])
    expect(world.held["10.0.0.1"]).toHaveLength(claimLimits.services)
  })
})

describe("a Service of which a claim cannot say what it must", () => {
  it.each([
    ["has too long a key", { annotations: tooLong }, "InvalidSharingKey"],
    ["has too many ports", { spec: { ports: manyPorts } }, "TooManyPorts"]
  ])("keeps no address from younger ones, and is told, where it %s", async (_, parts, reason) => {
    const world = new World(all)
    await world.pool("lan", one)
    await world.asking("old", "auto", parts)
    await world.asking("young")
    await world.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/young"] })
    expect(world.events("services/default/old")).toEqual([expect.stringContaining(`${reason}: `)])
  })

  it("is refused what it lists by hand, and the sweep finds nothing to do", async () => {
    const world = new World(all)
    await world.pool("lan", one)
    await world.service("web", { annotations: tooLong, spec: { externalIPs: ["10.0.0.1"] } })
    await world.settle()
    expect(world.held).toEqual({})
    expect(world.events("services/default/web")).toEqual([
      "ExternalIPRefused: spec.externalIPs: 10.0.0.1 cannot be claimed: annotation external-ip-share: the key has 254 characters; write one of 253 at most"
    ])
    const runs = world.cluster.runs.length
    await world.sweep()
    expect(
      world.cluster.runs.slice(runs).filter(({ function: fn }) => fn === "claim-on-external-ip")
    ).toEqual([])
  })

  it.each([
    ["it was given", { annotations: { "external-ip": "auto", ...key } }],
    ["it lists by hand", { annotations: key, spec: { externalIPs: ["10.0.0.1"] } }]
  ])("keeps the address that %s before, and its claim says what it can", async (_, parts) => {
    const world = new World(all)
    await world.pool("lan", one)
    await world.service("web", parts)
    await world.settle()
    await world.edit("web", { metadata: { annotations: tooLong }, spec: { ports: manyPorts } })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    const [entry] = world.claim("10.0.0.1").spec.services ?? []
    expect([entry?.name, entry?.share, entry?.ports?.length]).toEqual(["web", undefined, claimLimits.ports])
  })
})

describe("a claim of a pool whose name is too long for a label", () => {
  it("is made without the label", async () => {
    const world = new World(all)
    const name = "lan.".repeat(16)
    await world.pool(name.slice(0, 63), one)
    await world.pool(name.slice(0, 63).replace("lan", "long"), { cidr: "10.1.0.1/32" })
    await world.asking("web", "10.0.0.1")
    await world.asking("other", "10.1.0.1")
    await world.settle()
    expect(world.claim("10.0.0.1").metadata.labels).toEqual({ "ip-pool-name": name.slice(0, 63) })
    expect(world.claim("10.1.0.1").metadata.labels).toBeUndefined()
    expect(world.claim("10.1.0.1").spec.pool).toHaveLength(64)
  })
})
