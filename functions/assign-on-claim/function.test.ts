import { describe, expect, expectTypeOf, it } from "@effect/vitest"
import { type FunctionDefinition, Unavailable } from "#runtime"
import { MemoryFleet, type TestClusterOptions, testLink } from "#testkit"
import { failing } from "../../test/support/faults.ts"
import { run, World } from "../../test/support/world.ts"
import { claimName, hostCidr } from "../domain/addresses.ts"
import { EndpointSlice, IpClaim, IpNode, Node } from "../domain/kinds.ts"
import { defaultSettings } from "../domain/settings.ts"
import { assignOnClaim } from "./function.ts"

const assigner = assignOnClaim(defaultSettings)
const one = "10.0.0.1"
const two = "10.0.0.2"
const ofCluster = (name: string) => ({ namespace: "", name })

/** A world of nodes and claims only. */
class Site extends World {
  constructor(options: TestClusterOptions = {}) {
    super([assigner], options)
  }

  get fleet(): MemoryFleet {
    return this.cluster.fleet
  }

  /** A second host on the same stores. */
  second(options: TestClusterOptions = {}): Site {
    return new Site({ ...options, api: this.cluster.api, fleet: options.fleet ?? this.fleet })
  }

  join(...names: ReadonlyArray<string>): void {
    for (const name of names) {
      this.fleet.join(name)
      this.fleet.inventory(name, [])
    }
  }

  claimed(address: string, spec: object = {}, status?: IpClaim["status"]): Promise<IpClaim> {
    const object = { metadata: { name: claimName(address) }, spec: { cidr: hostCidr(address), ...spec } }
    return run(this.cluster.create(IpClaim, status === undefined ? object : { ...object, status }))
  }

  unclaim(address: string): Promise<void> {
    return run(this.cluster.delete(IpClaim, ofCluster(claimName(address))))
  }

  says(node: string, what: "bound" | "taken" | "released" | "conflict", address: string): void {
    this.fleet.report({ node, what, address, claim: claimName(address) })
  }

  where(address: string): string {
    const { holder = "nowhere", standby } = this.fleet.placements.get(claimName(address)) ?? {}
    return standby === undefined ? holder : `${holder}, then ${standby}`
  }

  /** Every placement with its term: equal when nothing was placed in between. */
  get placed(): string {
    return JSON.stringify([...this.fleet.placements])
  }

  get decisions(): ReadonlyArray<string | undefined> {
    return this.cluster.runs.map(({ ended }) => (ended._tag === "Done" ? ended.decision : ended._tag))
  }
}

const twoNodes = async (): Promise<Site> => {
  const site = new Site()
  site.join("n1", "n2")
  await site.claimed(one)
  await site.settle()
  return site
}

describe("assign-on-claim", () => {
  it("places a new claim on a node, names a standby, and says so", async () => {
    const site = await twoNodes()
    expect(site.where(one)).toBe("n1, then n2")
    expect(site.decisions.at(-1)).toBe("placed 10-0-0-1 on n1 (standby n2)")
  })

  it("decides about many claims at once", async () => {
    const site = new Site()
    site.join("n1", "n2", "n3")
    await site.settle()
    const before = site.cluster.runs.length
    for (let index = 1; index <= 100; index++) await site.claimed(`10.0.1.${index}`)
    await site.settle()
    expect(site.cluster.runs).toHaveLength(before + 1)
    expect(site.fleet.placements.size).toBe(100)
    expect(site.decisions.at(-1)).toBe(
      "placed 10-0-1-1 on n1 (standby n2); placed 10-0-1-10 on n2 (standby n3); " +
        "placed 10-0-1-100 on n3 (standby n1); and 97 more placements"
    )
  })

  it("says of each claim in its own trace why no node has it", async () => {
    const site = new Site()
    await site.settle()
    const addresses = [1, 2, 3, 4, 5].map((index) => `10.0.1.${index}`)
    for (const address of addresses) await site.claimed(address)
    await site.settle()
    expect(site.cluster.spans.map(({ object, decision }) => [object, decision])).toEqual(
      addresses.map((address) => {
        const name = claimName(address)
        return [`ipclaims.ipcontroller.ext/${name}`, `${name} is on no node, as no node runs extip`]
      })
    )
  })

  describe("keeps an address on the link that its pool demanded,", () => {
    const name = "10-9-0-1"
    const onLink = (site: Site) => site.fleet.placements.get(name)!
    const started = async (): Promise<Site> => {
      const site = new Site()
      for (const node of ["n1", "n2"]) {
        site.fleet.join(node, [testLink(), testLink({ name: "eth1", subnets: ["172.16.0.0/24"] })])
        site.fleet.inventory(node, [])
      }
      await site.pool("dmz", { cidr: "10.9.0.0/29", link: "eth1" })
      await site.claimed("10.9.0.1", { pool: "dmz" })
      await site.settle()
      site.says("n1", "bound", "10.9.0.1")
      await site.settle()
      return site
    }
    /** Everything is decided again. */
    const again = async (site: Site): Promise<void> => {
      site.join("n3")
      site.cluster.wakeAll()
      await site.settle()
    }

    it("when the pool is gone", async () => {
      const site = await started()
      const before = onLink(site)
      await site.deletePool("dmz")
      await again(site)
      expect(onLink(site)).toEqual(before)
      expect(before.link).toBe("eth1")
    })

    it("when the pool has another name, and as that one says from then on", async () => {
      const site = await started()
      const before = onLink(site)
      await site.deletePool("dmz")
      await site.pool("outside", { cidr: "10.9.0.0/29", link: "eth1" })
      await again(site)
      expect(onLink(site)).toEqual(before)
      await site.editPool("outside", { link: "eth0" })
      await site.settle()
      expect(onLink(site)).toMatchObject({ holder: "n1", link: "eth0" })
    })
  })

  it("is told by no Service of another namespace where an address is to be", async () => {
    const site = await twoNodes()
    const metadata = { namespace: "other", name: "web-1", labels: { "kubernetes.io/service-name": "web" } }
    const endpoints = [{ nodeName: "n2", conditions: { ready: true } }]
    await run(site.cluster.create(EndpointSlice, { metadata, endpoints }))
    const entry = async (path: string, spec = {}) => {
      const { metadata } = await site.service(path, { spec })
      const { namespace, name, uid } = metadata
      return { namespace, name, uid, origin: "external", ports: [] }
    }
    const services = [await entry("shop/web"), await entry("other/web", { externalTrafficPolicy: "Local" })]
    await run(site.cluster.patch(IpClaim, ofCluster(claimName(one)), { spec: { services } }))
    await site.settle()
    expect(site.where(one)).toBe("n1, then n2")
    const [first, last] = services
    await run(site.cluster.patch(IpClaim, ofCluster(claimName(one)), { spec: { services: [last, first] } }))
    await site.settle()
    expect(site.where(one)).toBe("n2")
    await run(site.cluster.delete(EndpointSlice, { namespace: "other", name: "web-1" }))
    await site.settle()
    expect(site.where(one)).toBe("n2, then n1")
  })

  it("places nothing that is placed already, however often and on whatever host it runs", async () => {
    const site = await twoNodes()
    const before = site.placed
    await site.start()
    await site.second().start()
    expect(site.placed).toBe(before)
  })

  it("tells each node that its slice is whole, also one that has nothing", async () => {
    const site = new Site()
    site.join("n1")
    await site.settle()
    expect(site.fleet.completed("n1")).toBe("inventory-1")
  })

  it("takes a claim that was deleted off its nodes", async () => {
    const site = await twoNodes()
    await site.unclaim(one)
    await site.settle()
    expect(site.where(one)).toBe("nowhere")
    expect(site.decisions.at(-1)).toBe("took 10-0-0-1 off all nodes")
  })

  it("has nothing to do for a claim that was gone before it was placed", async () => {
    const site = new Site()
    await site.claimed(one)
    await site.unclaim(one)
    await site.settle()
    expect(site.decisions).toEqual([undefined])
  })

  it("waits for the node that had the address, and says when it looks again", async () => {
    const site = new Site()
    site.fleet.followedMillis = 2_000
    site.join("n1")
    await site.claimed(one, {}, { phase: "Bound", node: "n2" })
    await site.settle()
    expect(site.cluster.runs.at(-1)?.ended).toMatchObject({
      _tag: "Again",
      afterMillis: 10_000,
      cause: "10-0-0-1 waits for n2, which may have it"
    })
  })

  it("decides again when another host was quicker", async () => {
    const site = await twoNodes()
    await site.claimed(two)
    const other = site.second()
    other.cluster.wakeAll()
    other.cluster.goStale()
    await site.settle()
    const before = site.placed
    await other.settle()
    expect(other.troubles[0]).toContain("1 claims were not placed")
    expect(site.placed).toBe(before)
    other.cluster.catchUp()
    await other.start()
    expect(site.placed).toBe(before)
    expect(other.ended("assign-on-claim").at(-1)).toBe("Done")
  })

  it("fails only in ways that say what happens next", () => {
    type Tags = typeof assigner extends FunctionDefinition<any, infer E> ? E["_tag"] : never
    expectTypeOf<Tags>().toEqualTypeOf<
      | "PlacementLost"
      | "TooEarly"
      | "Conflict"
      | "AlreadyExists"
      | "NotFound"
      | "Forbidden"
      | "Invalid"
      | "Unavailable"
    >()
  })
})

describe("an address on a link of which there is no claim", () => {
  const orphan = { claim: claimName(two), address: two }

  it("leaves its node once the API server says that there is none", async () => {
    const site = await twoNodes()
    const id = site.fleet.inventory("n2", [orphan])
    await site.settle()
    expect(site.fleet.completed("n2")).toBe(id)
    expect(site.decisions.at(-1)).toBe("10-0-0-2 has no claim any more, and leaves its node")
  })

  it("stays if the API server knows the claim, and only this host does not yet", async () => {
    const site = await twoNodes()
    const late = site.second()
    late.cluster.goStale()
    await site.claimed(two)
    const id = site.fleet.inventory("n2", [orphan])
    // The fleet is seen, the claim is not.
    late.cluster.fleetView.inventory("n2", { id, held: [{ ...orphan, link: "eth0", term: 1 }] })
    await late.settle()
    expect(site.fleet.completed("n2")).not.toBe(id)
    late.cluster.catchUp()
    await late.settle()
    expect(site.fleet.completed("n2")).toBe(id)
    expect(site.where(two)).toBe("n2, then n1")
  })

  it("stays while the API server is away", async () => {
    const failures = [new Unavailable({ operation: "", detail: "" })]
    const site = new Site({ through: failing("get IpClaim", failures) })
    site.fleet.join("n1")
    const id = site.fleet.inventory("n1", [orphan])
    await site.settle()
    expect(site.ended("assign-on-claim")).toEqual(["Again", "Done"])
    expect(site.fleet.completed("n1")).toBe(id)
  })
})

describe("assign-on-claim is woken", () => {
  it("by a standby that took over, and by nodes that are lost or return", async () => {
    const site = await twoNodes()
    site.join("n3")
    site.says("n1", "bound", one)
    site.says("n2", "taken", one)
    await site.settle()
    expect(site.where(one)).toBe("n2, then n3")
    site.fleet.lose("n3")
    await site.settle()
    expect(site.where(one)).toBe("n2")
    site.says("n1", "released", one)
    await site.settle()
    expect(site.where(one)).toBe("n2, then n1")
    site.fleet.abandon("n2")
    await site.settle()
    expect(site.where(one)).toBe("n2, then n1")
    site.says("n1", "taken", one)
    await site.settle()
    expect(site.where(one)).toBe("n1")
  })

  it("by a node's first word for claims that had none to go to", async () => {
    const site = new Site()
    await site.claimed(one)
    await site.settle()
    expect(site.decisions).toEqual(["10-0-0-1 is on no node, as no node runs extip"])
    site.join("n1")
    await site.settle()
    expect(site.where(one)).toBe("n1")
  })

  it("not by the report that a claim is where it was placed", async () => {
    const site = await twoNodes()
    const before = site.cluster.runs.length
    site.says("n1", "bound", one)
    await site.settle()
    expect(site.cluster.runs).toHaveLength(before)
  })

  it("by the label of a Node, not by its kubelet's heartbeat", async () => {
    const site = await twoNodes()
    const metadata = { name: "n1" }
    await run(site.cluster.create(Node, { metadata, spec: {}, status: { conditions: [] } }))
    await site.settle()
    const before = site.cluster.runs.length
    const conditions = [{ type: "Ready", status: "True" }]
    await run(
      site.cluster.api.mergePatch(
        Node,
        ofCluster("n1"),
        { status: { conditions } },
        { subresource: "status" }
      )
    )
    await site.settle()
    expect(site.cluster.runs).toHaveLength(before)
    const labels = { "node.kubernetes.io/exclude-from-external-load-balancers": "" }
    await run(site.cluster.patch(Node, ofCluster("n1"), { metadata: { labels } }))
    await site.settle()
    expect(site.where(one)).toBe("n2")
  })

  it("by a Node that is cordoned, and drains it", async () => {
    const site = await twoNodes()
    await run(site.cluster.create(Node, { metadata: { name: "n1" }, spec: { unschedulable: true } }))
    await site.settle()
    expect(site.fleet.isDraining("n1")).toBe(true)
    await run(site.cluster.patch(Node, ofCluster("n1"), { spec: { unschedulable: null } }))
    await site.settle()
    expect(site.fleet.isDraining("n1")).toBe(false)
    expect(site.where(one)).toBe("n1, then n2")
  })

  it("by an IpNode, and when it is deleted", async () => {
    const site = await twoNodes()
    await run(site.cluster.create(IpNode, { metadata: { name: "n2" }, spec: { unschedulable: true } }))
    await site.settle()
    expect(site.where(one)).toBe("n1")
    await run(site.cluster.delete(IpNode, ofCluster("n2")))
    await site.settle()
    expect(site.where(one)).toBe("n1, then n2")
  })

  it("by a pool that selects other nodes", async () => {
    const site = new Site()
    site.join("n1", "n2")
    await site.pool("lan", { cidr: "10.0.0.0/24" })
    await site.claimed(one, { pool: "lan" })
    for (const name of ["n1", "n2"]) {
      await run(site.cluster.create(Node, { metadata: { name, labels: { name } }, spec: {} }))
    }
    await site.settle()
    await site.editPool("lan", { nodeSelector: { matchLabels: { name: "n2" } } })
    await site.settle()
    expect(site.where(one)).toBe("n2")
  })

  it("by the endpoints of a Service with policy Local, by their deletion, and by the policy", async () => {
    const site = new Site()
    site.join("n1", "n2")
    const { metadata } = await site.service("web", { spec: { externalTrafficPolicy: "Local" } })
    const slice = { namespace: "default", name: "web-front-abc12" }
    const labels = { "kubernetes.io/service-name": "web" }
    const on = (nodeName: string) => [{ nodeName, conditions: { ready: true } }]
    await run(site.cluster.create(EndpointSlice, { metadata: { ...slice, labels }, endpoints: on("n2") }))
    const { namespace, name, uid } = metadata
    await site.claimed(one, { services: [{ namespace, name, uid, origin: "allocated" }] })
    await site.settle()
    expect(site.where(one)).toBe("n2")
    await run(site.cluster.patch(EndpointSlice, slice, { endpoints: on("n1") }))
    await site.settle()
    expect(site.where(one)).toBe("n1")
    await run(site.cluster.delete(EndpointSlice, slice))
    await site.settle()
    expect(site.decisions.at(-1)).toContain("stays, though n1 has no ready endpoint of default/web")
    await site.edit("web", { spec: { externalTrafficPolicy: "Cluster" } })
    await site.settle()
    expect(site.where(one)).toBe("n1, then n2")
  })
})

describe("when JetStream is another one", () => {
  it("an empty one: every address returns to the node that its claim names", async () => {
    const before = new Site()
    await before.claimed(one, {}, { phase: "Bound", node: "n2" })
    await before.claimed(two, {}, { phase: "Bound", node: "n1" })
    const site = before.second({ fleet: new MemoryFleet() })
    site.fleet.followedMillis = 500
    site.cluster.wakeAll()
    await site.settle()
    expect([site.where(one), site.where(two)]).toEqual(["nowhere", "nowhere"])
    site.join("n1", "n2", "n3")
    await site.settle()
    expect([site.where(one), site.where(two)]).toEqual(["n2, then n3", "n1, then n2"])
  })

  it("wiped under living nodes: nothing moves, and no slice is complete before it holds everything", async () => {
    const site = await twoNodes()
    await site.claimed(two)
    await site.settle()
    site.fleet.followedMillis = 500
    site.fleet.wipe()
    await site.settle()
    expect(site.fleet.placements.size).toBe(0)
    site.fleet.inventory("n2", [{ claim: claimName(one), address: one, term: 9 }])
    const id = site.fleet.inventory("n1", [{ claim: claimName(two), address: two, term: 3 }])
    await site.settle()
    expect([site.where(one), site.where(two)]).toEqual(["n2, then n1", "n1, then n2"])
    expect(site.fleet.completed("n1")).toBe(id)
  })

  it("an older copy, right after a failover: the node that took over keeps the address", async () => {
    const site = await twoNodes()
    site.join("n3")
    // What was restored says n1. n2 has taken over since, and the API server has not heard of it.
    const id = site.fleet.inventory("n2", [{ claim: claimName(one), address: one, term: 7 }])
    site.fleet.lose("n1")
    await site.settle()
    expect(site.where(one)).toBe("n2, then n3")
    expect(site.fleet.placements.get(claimName(one))?.term).toBe(8)
    expect(site.fleet.completed("n2")).toBe(id)
  })
})
