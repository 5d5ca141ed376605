import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { AlreadyExists, Conflict, Forbidden, type FunctionDefinition, Unavailable } from "#runtime"
import { failing } from "../../test/support/faults.ts"
import { World } from "../../test/support/world.ts"
import { defaultSettings } from "../domain/settings.ts"
import { allocateOnAnnotate } from "./function.ts"

const allocate = allocateOnAnnotate(defaultSettings)
const lan = { cidr: "10.0.0.0/29" }

describe("allocate-on-annotate", () => {
  it("gives a Service that asks for any address the lowest one, and says so", async () => {
    const world = new World([allocate])
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.carries("web")).toBe("10.0.0.1")
    expect(world.claim("10.0.0.1")).toMatchObject({
      metadata: { name: "10-0-0-1", labels: { "ip-pool-name": "lan" } },
      spec: {
        cidr: "10.0.0.1/32",
        pool: "lan",
        services: [
          { namespace: "default", name: "web", uid: world.now("web").metadata.uid, origin: "allocated" }
        ]
      }
    })
    expect(world.events()).toEqual(["IPAllocated: Assigned IP 10.0.0.1"])
  })

  it("gives a Service that was annotated later its address", async () => {
    const world = new World([allocate])
    await world.pool("lan", lan)
    await world.service("web")
    await world.settle()
    expect(world.externalIPs("web")).toBeUndefined()
    await world.annotate("web", { "external-ip": "auto" })
    await world.settle()
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
  })

  it("writes nothing when the event arrives twice", async () => {
    const world = new World([allocate])
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    const before = world.state
    await world.start()
    await world.another([allocate]).start()
    expect(world.state).toBe(before)
    expect(world.events()).toEqual(["IPAllocated: Assigned IP 10.0.0.1"])
  })

  it("does not look at a Service that asks for nothing", async () => {
    const world = new World([allocate])
    await world.pool("lan", lan)
    await world.service("web")
    await world.settle()
    expect(world.cluster.runs.map(({ ended }) => ended._tag)).toEqual(["GuardSaidNo"])
  })

  it("has nothing to do for a Service that is gone before its turn", async () => {
    const world = new World([allocate])
    await world.pool("lan", lan)
    await world.asking("web")
    await world.deleteService("web")
    await world.settle()
    expect(world.ended("allocate-on-annotate")).toEqual(["Gone"])
    expect(world.held).toEqual({})
  })

  it.each([
    [
      "the API server is away when it claims",
      "create IpClaim",
      new Unavailable({ operation: "", detail: "" })
    ],
    [
      "the API server is away when it publishes",
      "mergePatch Service",
      new Unavailable({ operation: "", detail: "" })
    ],
    [
      "another took the name of the claim",
      "create IpClaim",
      new AlreadyExists({ operation: "", detail: "" })
    ],
    ["the Service changed meanwhile", "mergePatch Service", new Conflict({ operation: "", detail: "" })]
  ])("tries again when %s, and gives one address", async (_, call, failure) => {
    const world = new World([allocate], { through: failing(call, [failure]) })
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.ended("allocate-on-annotate").slice(0, 2)).toEqual(["Again", "Done"])
    expect(world.externalIPs("web")).toEqual(["10.0.0.1"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(world.events()).toEqual(["IPAllocated: Assigned IP 10.0.0.1"])
  })

  it("asks for half a minute's patience when it is not allowed to write", async () => {
    const refusal = () => new Forbidden({ operation: "create IpClaim", detail: "RBAC" })
    const world = new World([allocate], { through: failing("create IpClaim", [refusal()]) })
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.cluster.runs[0]?.ended).toMatchObject({ _tag: "Again", afterMillis: 30_000 })
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof allocate extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      | "PoolsExhausted"
      | "NotInAnyPool"
      | "AddressTaken"
      | "Unclaimable"
      | "SharingBroken"
      | "TakenOffAgain"
      | "RequestRefused"
      | "Overtaken"
      | "Conflict"
      | "AlreadyExists"
      | "NotFound"
      | "Forbidden"
      | "Invalid"
      | "Unavailable"
    >()
  })
})
