import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import * as Context from "effect/Context"
import {
  Assignment,
  type FunctionDefinition,
  HeldByForeign,
  HeldByUnknown,
  KernelSaidNo,
  NoFittingLink,
  Wire
} from "#runtime"
import { TestCluster } from "#testkit"
import { run } from "../../test/support/world.ts"
import { bindOnNode } from "./function.ts"
import { WireInMemory } from "./wire.fixture.ts"

const claim = "10-0-0-1"
const address = "10.0.0.1"
const ref = { namespace: "", name: claim }

const node = () => {
  const wire = new WireInMemory()
  const context = Context.make(Wire, wire.service) as Context.Context<never>
  const cluster = new TestCluster([bindOnNode], { kinds: [Assignment], context })
  const assign = (role: "holder" | "standby", term = 1) =>
    run(
      cluster.create(Assignment, {
        metadata: { name: claim },
        spec: { role, claim, address, term, ...(role === "standby" ? { holder: "n2" } : { standby: "n2" }) }
      })
    )
  const reassign = (role: "holder" | "standby", term: number) =>
    run(cluster.patch(Assignment, ref, { spec: { role, term } }))
  const free = () => run(cluster.delete(Assignment, ref))
  const settle = () => run(cluster.settle())
  const ended = () => cluster.runs.map(({ ended: how }) => how._tag)
  return { wire, cluster, assign, reassign, free, settle, ended }
}

describe("bind-on-node", () => {
  it("puts an address that is assigned to the node on its link, and announces it", async () => {
    const { wire, assign, settle, cluster } = node()
    await assign("holder")
    await settle()
    expect([...wire.link.values()]).toEqual([address])
    expect(cluster.runs[0]?.ended).toMatchObject({
      decision: "put 10.0.0.1 on eth0 and announced it with 02:00:00:00:00:01"
    })
  })

  it("does nothing the second time", async () => {
    const { wire, assign, settle, cluster } = node()
    await assign("holder")
    await settle()
    cluster.wakeAll()
    await settle()
    expect(wire.announced).toBe(1)
    expect(cluster.runs.at(-1)?.ended).toMatchObject({ decision: undefined })
  })

  it("takes it off when it is no longer assigned to the node", async () => {
    const { wire, assign, free, settle, cluster } = node()
    await assign("holder")
    await settle()
    await free()
    await settle()
    expect(wire.link.size).toBe(0)
    expect(cluster.runs.at(-1)?.ended).toMatchObject({ decision: "took 10.0.0.1 off" })
  })

  it("has nothing to take off where nothing was put", async () => {
    const { assign, free, settle, cluster } = node()
    await assign("standby")
    await free()
    await settle()
    expect(cluster.runs.at(-1)?.ended).toMatchObject({ decision: undefined })
  })

  it("watches what it stands by for, and lets go of what another one is to hold", async () => {
    const { wire, assign, reassign, settle } = node()
    await assign("holder")
    await settle()
    await reassign("standby", 2)
    await settle()
    expect(wire.link.size).toBe(0)
    expect([...wire.watched]).toEqual([claim])
  })

  it("waits for the node that still answers: of two that are told at once, one has it", async () => {
    const { wire, assign, settle, ended } = node()
    wire.others.set(address, "n2")
    await assign("holder")
    await settle()
    expect(wire.link.size).toBe(0)
    expect(new Set(ended())).toEqual(new Set(["Again"]))
    wire.others.clear()
    const { cluster, ...rest } = node()
    rest.wire.others.set(address, "n2")
    await rest.assign("holder")
    rest.wire.others.delete(address)
    await rest.settle()
    expect([...rest.wire.link.values()]).toEqual([address])
    expect(cluster.runs).toHaveLength(1)
  })

  it.each([
    ["no link fits", new NoFittingLink({ address, detail: "no link has its subnet" })],
    ["somebody unknown has the address", new HeldByUnknown({ address, mac: "02:00:00:00:00:99" })],
    ["a foreign machine has the address", new HeldByForeign({ address, mac: "02:00:00:00:00:99" })],
    ["the kernel refuses it", new KernelSaidNo({ address, errno: 105 })]
  ])("tries again when %s", async (_, failure) => {
    const { wire, assign, settle, ended } = node()
    wire.failures.push(failure)
    await assign("holder")
    await settle()
    expect(ended()).toEqual(["Again", "Done"])
    expect([...wire.link.values()]).toEqual([address])
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof bindOnNode extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      "NoFittingLink" | "HeldByOurs" | "HeldByUnknown" | "HeldByForeign" | "KernelSaidNo"
    >()
  })
})
