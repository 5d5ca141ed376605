import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import { parseCidr } from "./addresses.ts"
import type { Service } from "./kinds.ts"
import { Ledger, type LedgerChange, type LedgerOptions } from "./ledger.ts"
import { askingFor, claimOf, namespaceOf, nodeOf, poolOf, serviceOf } from "./objects.fixture.ts"
import { type Addresses, type Auto, requestOf, wantsAddress } from "./requests.ts"

type Kind = LedgerChange["kind"]
type Any = { readonly metadata: { readonly namespace?: string; readonly name: string } }

const keyOf = ({ metadata: { namespace, name } }: Any): string =>
  namespace === undefined ? name : `${namespace}/${name}`

/** A ledger to which objects are shown: `add` again is a change, `gone` a deletion. */
const makeLedger = (options: Partial<LedgerOptions> = {}) => {
  const ledger = new Ledger({ loadBalancers: "default", ...options })
  const present = new Map<string, Any>()
  const show = (kind: Kind, object: Any, after: Any | undefined) => {
    const key = keyOf(object)
    ledger.apply({ kind, key, before: present.get(kind + key), after } as LedgerChange)
    if (after === undefined) present.delete(kind + key)
    else present.set(kind + key, after)
  }
  return {
    ledger,
    add: (kind: Kind, ...objects: ReadonlyArray<Any>) => {
      for (const object of objects) show(kind, object, object)
    },
    gone: (kind: Kind, ...objects: ReadonlyArray<Any>) => {
      for (const object of objects) show(kind, object, undefined)
    }
  }
}

const requestFor = (service: Service): Auto | Addresses => {
  const request = requestOf(service, { loadBalancers: "default" })
  if (!wantsAddress(request)) throw new Error(`asks for nothing: ${JSON.stringify(request)}`)
  return request
}
const eligible = (ledger: Ledger, service: Service) =>
  ledger.eligiblePools(service, requestFor(service)).map(({ name }) => name)
const waiting = (ledger: Ledger, pool: string) => ledger.waitingFor(pool).map(({ key }) => key)
const lowest = (ledger: Ledger, pool: string) => Option.getOrUndefined(ledger.lowestFree(pool))

describe("a pool", () => {
  it("gives its lowest address that no claim, node, clusterIP or reservation has", () => {
    const { ledger, add, gone } = makeLedger()
    const web = serviceOf("web")
    const api = serviceOf("api", { spec: { clusterIP: "10.0.0.3", clusterIPs: ["10.0.0.3"] } })
    const node = nodeOf("n1", ["10.0.0.2", "n1.example.org"])
    add("IpClaim", claimOf("10.0.0.1", web))
    add("Node", node)
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/29" }))
    add("Service", api)
    expect(ledger.pool("p")).toMatchObject({ capacity: 6, used: 1, available: 3 })
    expect(lowest(ledger, "p")).toBe("10.0.0.4")
    expect(ledger.reserve("10.0.0.4", "default/web")).toBe(true)
    expect(ledger.reserve("10.0.0.4", "default/other")).toBe(false)
    expect(ledger.freeCount("p")).toBe(2)
    expect(lowest(ledger, "p")).toBe("10.0.0.5")
    ledger.release("10.0.0.4", "default/other")
    expect(lowest(ledger, "p")).toBe("10.0.0.5")
    ledger.release("10.0.0.4", "default/web")
    expect(lowest(ledger, "p")).toBe("10.0.0.4")
    gone("Service", api)
    expect(lowest(ledger, "p")).toBe("10.0.0.3")
    gone("Node", node)
    expect(lowest(ledger, "p")).toBe("10.0.0.2")
    gone("IpClaim", claimOf("10.0.0.1", web))
    expect(lowest(ledger, "p")).toBe("10.0.0.1")
    expect(ledger.pool("p")).toMatchObject({ used: 0, available: 6 })
  })

  it("gives nothing out of the pods' networks, nor out of forbidden ones", () => {
    const { ledger, add, gone } = makeLedger({ forbiddenCidrs: [parseCidr("fd00:0:0:1::/64")!] })
    const node = nodeOf("n1", [], ["fd00::/64"])
    add("IpClaimPool", poolOf("p", { cidr: "fd00::/48" }))
    expect(lowest(ledger, "p")).toBe("fd00::1")
    add("Node", node)
    expect(lowest(ledger, "p")).toBe("fd00:0:0:2::")
    expect(ledger.forbidden("fd00::1")).toBe("belongs to the pods of node n1")
    expect(ledger.forbidden("fd00:0:0:1::5")).toContain("fd00:0:0:1::/64")
    gone("Node", node)
    expect(lowest(ledger, "p")).toBe("fd00::1")
    expect(ledger.forbidden("fd00::1")).toBeUndefined()
  })

  it("keeps what is in use when it shrinks, and gives what is new when it grows", () => {
    const { ledger, add } = makeLedger()
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/24", ranges: [["10.0.0.1", "10.0.0.2"]] }))
    add("IpClaim", claimOf("10.0.0.1", serviceOf("a")), claimOf("10.0.0.2", serviceOf("b")))
    expect(lowest(ledger, "p")).toBeUndefined()
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/24", ranges: [["10.0.0.2", "10.0.0.3"]] }))
    expect(lowest(ledger, "p")).toBe("10.0.0.3")
    expect(ledger.pool("p")?.claimed).toEqual(new Map([["10.0.0.2", "10-0-0-2"]]))
    expect(ledger.claimsOf("default/a").map(({ metadata }) => metadata.name)).toEqual(["10-0-0-1"])
    expect(ledger.poolOf("10.0.0.1")).toBeUndefined()
  })

  it("that overlaps an older one is invalid for as long as that one is there", () => {
    const { ledger, add, gone } = makeLedger()
    const young = poolOf("a-young", { cidr: "10.0.0.0/28" }, 5)
    const old = poolOf("z-old", { cidr: "10.0.0.8/29" }, 1)
    const web = askingFor("auto", "web")
    add("Service", web)
    add("IpClaimPool", young)
    expect(waiting(ledger, "a-young")).toEqual(["default/web"])
    add("IpClaimPool", old)
    expect(ledger.pool("a-young")?.faults).toEqual([
      {
        reason: "OverlapsPool",
        message:
          "10.0.0.9 to 10.0.0.14 also belong to the older pool z-old; leave them out of one of the two with spec.ranges"
      }
    ])
    expect(ledger.pool("z-old")?.faults).toEqual([])
    expect(eligible(ledger, web)).toEqual(["z-old"])
    expect(waiting(ledger, "a-young")).toEqual([])
    expect(ledger.poolOf("10.0.0.9")?.name).toBe("z-old")
    expect(ledger.poolOf("10.0.0.1")).toBeUndefined()
    gone("IpClaimPool", old)
    expect(eligible(ledger, web)).toEqual(["a-young"])
    expect(waiting(ledger, "a-young")).toEqual(["default/web"])
  })

  it("that is being deleted gives nothing, and is in nobody's way", () => {
    const { ledger, add } = makeLedger()
    const old = poolOf("old", { cidr: "10.0.0.0/28" })
    add("IpClaimPool", old, poolOf("new", { cidr: "10.0.0.0/28" }, 5))
    add("IpClaimPool", {
      ...old,
      metadata: { ...old.metadata, deletionTimestamp: "2026-01-02T00:00:00Z" }
    } as Any)
    expect(eligible(ledger, askingFor("auto", "web"))).toEqual(["new"])
    expect(lowest(ledger, "old")).toBeUndefined()
    expect(ledger.poolOf("10.0.0.1")?.name).toBe("new")
  })
})

describe("the pools that a Service may use", () => {
  const { ledger, add } = makeLedger()
  add(
    "IpClaimPool",
    poolOf("b", { cidr: "10.0.0.0/24" }),
    poolOf("a", { cidr: "10.0.1.0/24" }),
    poolOf("high", { cidr: "10.0.2.0/24", priority: 10, namespaces: ["shop"] }),
    poolOf("gold", {
      cidr: "10.0.3.0/24",
      priority: -1,
      namespaceSelector: { matchLabels: { tier: "gold" } }
    }),
    poolOf("public", {
      cidr: "10.0.4.0/24",
      priority: 5,
      serviceSelector: { matchExpressions: [{ key: "public", operator: "Exists" }] }
    }),
    poolOf("manual", { cidr: "10.0.5.0/24", autoAssign: false }),
    poolOf("six", { cidr: "fd00::/64" }),
    poolOf("broken", { cidr: "10.0.6.1/24" })
  )
  add("Namespace", namespaceOf("shop", { tier: "gold" }))

  it.each<[string, Service, Array<string>]>([
    ["by priority, then by name", askingFor("auto", "web"), ["a", "b"]],
    [
      "of its namespace, by name or label",
      askingFor("auto", "web", { namespace: "shop" }),
      ["high", "a", "b", "gold"]
    ],
    ["that select it", askingFor("auto", "web", { labels: { public: "" } }), ["public", "a", "b"]],
    [
      "that it names",
      askingFor("auto", "web", { annotations: { "external-ip-pool": "manual" } }),
      ["manual"]
    ],
    [
      "not one that does not admit it, though it names it",
      askingFor("auto", "web", { annotations: { "external-ip-pool": "high" } }),
      []
    ],
    ["that have the address that it names", askingFor("10.0.5.7", "web"), ["manual"]],
    [
      "not another one than it names",
      askingFor("10.0.5.7", "web", { annotations: { "external-ip-pool": "a" } }),
      []
    ],
    ["of its family", askingFor("auto", "web", { spec: { ipFamilies: ["IPv6"] } }), ["six"]],
    [
      "of both families",
      serviceOf("web", {
        spec: { type: "LoadBalancer", ipFamilies: ["IPv6", "IPv4"], ipFamilyPolicy: "PreferDualStack" }
      }),
      ["a", "b", "six"]
    ]
  ])("are those %s", (_, service, want) => {
    expect(eligible(ledger, service)).toEqual(want)
  })

  it("and why not the others", () => {
    const web = askingFor("auto", "web")
    const why = Object.fromEntries(
      ledger.pools.map((pool) => [pool.name, ledger.whyNot(pool, web, requestFor(web))])
    )
    expect(why).toMatchObject({
      a: undefined,
      high: "does not admit the Service (namespaces, namespaceSelector, serviceSelector)",
      manual: "is for Services that name it or one of its addresses (autoAssign: false)",
      six: "has IPv6 addresses, the Service wants IPv4",
      broken: "is not valid"
    })
  })
})

describe("waiting Services", () => {
  it("stand in line oldest first, those of one second by name, until they carry an address", () => {
    const { ledger, add, gone } = makeLedger()
    const one = askingFor("auto", "one", { createdAt: 3 })
    add("Service", one, askingFor("auto", "b", { createdAt: 2 }), askingFor("auto", "a", { createdAt: 2 }))
    add("Service", serviceOf("quiet"), askingFor("nonsense", "refused"))
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/30" }), poolOf("six", { cidr: "fd00::/64" }))
    expect(waiting(ledger, "p")).toEqual(["default/a", "default/b", "default/one"])
    expect(waiting(ledger, "six")).toEqual([])
    expect(ledger.waitingCount).toBe(3)
    add(
      "Service",
      askingFor("auto", "b", { createdAt: 2, annotations: { "ipcontroller.ext/allocated": "10.0.0.1" } })
    )
    gone("Service", one)
    expect(waiting(ledger, "p")).toEqual(["default/a"])
    gone("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/30" }))
    expect(waiting(ledger, "p")).toEqual([])
    expect(ledger.waitingCount).toBe(1)
  })

  it("come into line when their namespace is labelled, and leave it with the label", () => {
    const { ledger, add } = makeLedger()
    add(
      "IpClaimPool",
      poolOf("gold", { cidr: "10.0.0.0/24", namespaceSelector: { matchLabels: { tier: "gold" } } })
    )
    add("Namespace", namespaceOf("shop"))
    add("Service", askingFor("auto", "web", { namespace: "shop" }))
    expect(waiting(ledger, "gold")).toEqual([])
    add("Namespace", namespaceOf("shop", { tier: "gold" }))
    expect(waiting(ledger, "gold")).toEqual(["shop/web"])
    add("Namespace", namespaceOf("shop"))
    expect(waiting(ledger, "gold")).toEqual([])
  })

  it("let older ones go first, but not those who wait for what is not there", () => {
    const { ledger, add } = makeLedger()
    const me = askingFor("auto", "me", { createdAt: 9 })
    const old = askingFor("auto", "old", { createdAt: 2 })
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.2"]] }))
    add("IpClaim", claimOf("10.0.0.1", serviceOf("holder")))
    add("Service", me, askingFor("10.0.0.1", "wants-taken", { createdAt: 1 }))
    expect(ledger.olderWaiting(me, "p", 10)).toBe(0)
    expect(ledger.isItsTurn(me, "p")).toBe(true)
    const dual = { type: "LoadBalancer", ipFamilies: ["IPv4", "IPv6"], ipFamilyPolicy: "RequireDualStack" }
    add("Service", serviceOf("dual", { createdAt: 1, spec: dual }))
    expect(ledger.isItsTurn(me, "p")).toBe(true)
    add("Service", old)
    expect(ledger.olderWaiting(me, "p", 10)).toBe(1)
    expect(ledger.olderWaiting(me, "p", 0)).toBe(0)
    expect(ledger.isItsTurn(me, "p")).toBe(false)
    expect(ledger.isItsTurn(old, "p")).toBe(true)
    // The old one is being served with one address, and another one is added: that is mine.
    ledger.reserve("10.0.0.2", "default/old")
    add("IpClaimPool", poolOf("p", { cidr: "10.0.0.0/29", ranges: [["10.0.0.1", "10.0.0.3"]] }))
    expect(ledger.isItsTurn(me, "p")).toBe(true)
    add("IpClaim", claimOf("10.0.0.2", old))
    ledger.release("10.0.0.2", "default/old")
    expect(ledger.isItsTurn(me, "p")).toBe(true)
  })
})

describe("claims", () => {
  it("are found by address, by Service and by sharing key", () => {
    const { ledger, add, gone } = makeLedger()
    const claim = claimOf("fd00::1", serviceOf("web"), { share: "key" })
    add("IpClaim", claim)
    expect(ledger.claim("fd00::1")).toBe(claim)
    expect(ledger.claimsOf("default/web")).toEqual([claim])
    expect(ledger.claimsSharedBy("default", "key")).toEqual([claim])
    expect(ledger.claimsSharedBy("other", "key")).toEqual([])
    add("IpClaim", { ...claim, spec: { ...claim.spec, services: [] } } as Any)
    expect(ledger.claimsOf("default/web")).toEqual([])
    expect(ledger.claimsSharedBy("default", "key")).toEqual([])
    expect(ledger.isTaken("fd00::1")).toBe(true)
    gone("IpClaim", claim)
    expect(ledger.isTaken("fd00::1")).toBe(false)
  })
})
