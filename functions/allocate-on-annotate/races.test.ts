import { describe, expect, it, vi } from "@effect/vitest"
import { upon } from "../../test/support/faults.ts"
import { all, allWith, run, World } from "../../test/support/world.ts"
import { IpClaim } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { allocateOnAnnotate } from "./function.ts"

const allocate = [allocateOnAnnotate(defaultSettings)]
const lan = { cidr: "10.0.0.0/29" }

/** Two hosts that were woken for the same, the second of which sees nothing of what the first does. */
const twoHosts = async (prepare: (world: World) => Promise<unknown>) => {
  const first = new World(allocate)
  await first.pool("lan", lan)
  await prepare(first)
  const second = first.another(allocate)
  second.cluster.wakeAll()
  second.cluster.goStale()
  return { first, second }
}

describe("two allocators with stale views", () => {
  it("give two Services two addresses: who comes second to the claim's name takes the next", async () => {
    const { first, second } = await twoHosts((world) => world.asking("web"))
    await first.asking("other")
    await first.settle()
    second.cluster.catchUp()
    // Both Services have theirs. Once more, with Services of which each host knows but one.
    second.cluster.goStale()
    await first.asking("third")
    const blind = first.another(allocate)
    blind.cluster.wakeAll()
    blind.cluster.goStale()
    await first.settle()
    expect(first.externalIPs("third")).toEqual(["10.0.0.3"])
    await blind.settle()
    expect(blind.troubles[0]).toContain("10.0.0.3 was taken by another allocator meanwhile")
    expect(first.held["10.0.0.3"]).toEqual(["default/third"])
    expect(Object.values(first.held)).toHaveLength(3)
  })

  it("never give two Services one address", async () => {
    const { first, second } = await twoHosts(() => Promise.resolve())
    second.cluster.catchUp()
    await first.asking("web")
    first.cluster.goStale()
    await first.settle()
    const blind = first.another(allocate)
    await blind.asking("other")
    await blind.settle()
    expect(blind.externalIPs("other")).toEqual(["10.0.0.2"])
    // It still believes that .2 is free.
    first.cluster.catchUp()
    first.cluster.goStale()
    await blind.asking("third")
    await blind.settle()
    await first.settle()
    expect(Object.values(first.held).flat().toSorted()).toEqual([
      "default/other",
      "default/third",
      "default/web"
    ])
  })

  it("give one Service one address: who comes second to the Service gives back the claim that it made", async () => {
    const { first, second } = await twoHosts(async (world) => {
      await world.asking("web")
    })
    // Somebody holds the first address only while the first host decides, so that the two choose differently.
    await run(
      first.cluster.create(IpClaim, {
        metadata: { name: "10-0-0-1" },
        spec: { cidr: "10.0.0.1/32", services: [] }
      })
    )
    await first.settle()
    await run(first.cluster.delete(IpClaim, { namespace: "", name: "10-0-0-1" }))
    expect(first.carries("web")).toBe("10.0.0.2")
    const told: Array<string> = []
    first.cluster.api.watch(({ ref, verb }) => told.push(`${verb} ${ref.name}`))
    await second.settle()
    expect(told).toEqual(["added 10-0-0-1", "deleted 10-0-0-1"])
    expect(second.ended("allocate-on-annotate").at(-1)).toBe("Done")
    expect(second.troubles[0]).toContain("it changed meanwhile")
    expect(first.carries("web")).toBe("10.0.0.2")
    expect(first.held).toEqual({ "10.0.0.2": ["default/web"] })
  })

  it("keep the claim that both have made for one Service", async () => {
    const { first, second } = await twoHosts((world) => world.asking("web"))
    await first.settle()
    await second.settle()
    expect(second.ended("allocate-on-annotate")).toContain("Again")
    expect(first.held).toEqual({ "10.0.0.1": ["default/web"] })
    expect(first.carries("web")).toBe("10.0.0.1")
  })
})

describe("a claim that was just made", () => {
  it("is given back when the Service is deleted before it is published", async () => {
    const outside: { world?: World } = {}
    const world = new World(allocate, {
      through: upon("mergePatch Service", () => outside.world!.deleteService("web"))
    })
    outside.world = world
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.ended("allocate-on-annotate")).toEqual(["Again", "Gone"])
    expect(world.held).toEqual({})
  })

  it("is freed when the Service stops asking before it is published", async () => {
    const outside: { world?: World } = {}
    const world = new World(all, {
      through: upon("mergePatch Service", () => outside.world!.annotate("web", { "external-ip": null }))
    })
    outside.world = world
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.troubles[0]).toContain("it changed meanwhile")
    expect(world.held).toEqual({})
    expect(world.externalIPs("web")).toBeUndefined()
  })

  it("is used by the next attempt when only the Service's labels changed", async () => {
    const outside: { world?: World } = {}
    const world = new World(allocate, {
      through: upon("mergePatch Service", () =>
        outside.world!.edit("web", { metadata: { labels: { a: "b" } } })
      )
    })
    outside.world = world
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    expect(world.ended("allocate-on-annotate").slice(0, 2)).toEqual(["Again", "Done"])
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("is not lost to a release that began before the Service asked again", async () => {
    const outside: { world?: World } = {}
    const world = new World(all, {
      // The release has read the Service, and has still to delete the claim, when the Service asks again.
      through: upon("remove IpClaim", async () => {
        await outside.world!.annotate("web", { "external-ip": "auto" })
        await outside.world!.another(allocate).start()
      })
    })
    outside.world = world
    await world.pool("lan", lan)
    await world.asking("web")
    await world.settle()
    await world.annotate("web", { "external-ip": null })
    await world.settle()
    expect(world.ended("free-on-delete")).toContain("Again")
    expect(world.carries("web")).toBe("10.0.0.1")
    expect(world.held).toEqual({ "10.0.0.1": ["default/web"] })
  })

  it("is not two for two handlers of one process that run at the same time", async () => {
    const world = new World(allocate)
    await world.pool("lan", { ...lan, ranges: [["10.0.0.1", "10.0.0.3"]] })
    for (const name of ["a", "b", "c", "d"]) await world.asking(name)
    await world.settle(4)
    expect(Object.keys(world.held)).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3"])
    expect(world.cluster.runs.filter(({ ended }) => ended._tag === "Again")).toEqual([])
  })
})

describe("whoever waits for an address that is taken off", () => {
  it.each([
    ["is edited", { "external-ip": null }],
    ["is replaced by one without annotations", { "external-ip": null, "ipcontroller.ext/allocated": null }]
  ])("has it though the claim is seen to go before the Service, when that %s", async (_, gone) => {
    const functions = allWith({ loadBalancers: "class" })
    const isAllocate = ({ name }: { readonly name: string }) => name === "allocate-on-annotate"
    const world = new World(functions.filter((one) => !isAllocate(one)))
    await world.pool("one", { cidr: "10.0.0.1/32" })
    const { api } = world.cluster
    const late: Array<() => void> = []
    let isLate = false
    const watch = api.watch.bind(api)
    const watching = vi.spyOn(api, "watch").mockImplementation((see) =>
      watch((event) => {
        if (isLate && event.kind.kind === "Service") late.push(() => see(event))
        else see(event)
      })
    )
    const allocator = world.another(functions.filter(isAllocate))
    watching.mockRestore()
    await world.asking("web", "auto", { spec: { type: "LoadBalancer" } })
    await allocator.settle()
    await world.bound("10.0.0.1")
    await world.asking("waits", "10.0.0.1")
    await allocator.settle()
    await world.annotate("web", gone)
    await allocator.settle()
    isLate = true
    await world.settle()
    await allocator.settle()
    isLate = false
    for (const see of late) see()
    await allocator.settle()
    expect(world.held).toEqual({ "10.0.0.1": ["default/waits"] })
  })
})
