import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { addressOf } from "./addresses.ts"
import type { IpClaimPool, Service } from "./kinds.ts"
import { Ledger, type LedgerChange } from "./ledger.ts"
import { askingFor, claimOf, namespaceOf, nodeOf, poolOf, serviceOf } from "./objects.fixture.ts"

const Small = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 31 }))
const Step = Schema.Struct({
  kind: Schema.Literals(["IpClaimPool", "IpClaim", "IpClaim", "Service", "Service", "Namespace", "Node"]),
  which: Small,
  how: Small,
  gone: Schema.Boolean
})
type Step = typeof Step.Type
const Steps = Schema.Array(Step).check(Schema.isMaxLength(150))

const address = (number: number): string => addressOf(10 * 2 ** 24 + number)

const poolFrom = (which: number, how: number): IpClaimPool => {
  const first = (how % 4) * 8
  const specs: ReadonlyArray<IpClaimPool["spec"]> = [
    { cidr: `${address(first)}/29`, priority: how % 3 },
    { cidr: "10.0.0.0/27", ranges: [[address(first), address(first + (how % 8))]] },
    { cidr: "10.0.0.0/27", namespaceSelector: { matchLabels: { tier: "gold" } }, autoAssign: how % 2 === 0 },
    { cidr: "fd00::/126", namespaces: ["shop"] },
    { cidr: "10.0.0.1/27" }
  ]
  return poolOf(`pool-${which % 4}`, specs[how % specs.length]!, which % 4 === 0 ? how : which % 4)
}

const serviceFrom = (which: number, how: number): Service => {
  const parts = { namespace: which % 2 === 0 ? "shop" : "default", createdAt: which % 5 }
  const name = `service-${which}`
  switch (how % 8) {
    case 0:
      return serviceOf(name, { ...parts, spec: { clusterIPs: [address(how)] } })
    case 1:
      return askingFor(address(how), name, parts)
    case 2:
      return askingFor("auto", name, {
        ...parts,
        annotations: { "ipcontroller.ext/allocated": address(how) }
      })
    case 3:
      return askingFor("auto", name, { ...parts, spec: { ipFamilies: ["IPv6"] } })
    case 4:
      return serviceOf(name, { ...parts, spec: { externalIPs: [address(how), address(which)] } })
    case 5:
      return askingFor(address(how), name, { ...parts, spec: { externalIPs: [address(how)] } })
    case 6: {
      const ingress = [{ ip: address(how) }]
      const spec = { type: "LoadBalancer", ...(how % 3 === 0 ? { loadBalancerClass: "other/class" } : {}) }
      return serviceOf(name, { ...parts, spec, ingress })
    }
    default:
      return askingFor("auto", name, parts)
  }
}

const objectFrom = ({ kind, which, how }: Step) => {
  switch (kind) {
    case "IpClaimPool":
      return poolFrom(which, how)
    case "IpClaim":
      return claimOf(address(which), serviceFrom(how, how))
    case "Service":
      return serviceFrom(which, how)
    case "Namespace":
      return namespaceOf(which % 2 === 0 ? "shop" : "default", how % 2 === 0 ? { tier: "gold" } : {})
    case "Node":
      return nodeOf(`n${which % 3}`, [address(how)], how % 3 === 0 ? [`${address(how - (how % 4))}/30`] : [])
  }
}

/** Everything that a ledger can be asked. */
const answersOf = (ledger: Ledger) => ({
  waiting: ledger.waitingCount,
  addresses: Array.from({ length: 32 }, (_, number) => [
    ledger.isTaken(address(number)),
    ledger.forbidden(address(number)),
    ledger.poolOf(address(number))?.name,
    ledger.claim(address(number))?.spec.services,
    ledger.listersOf(address(number)),
    ledger.servedElsewhere(address(number)),
    ledger.whyElsewhere(address(number), "")
  ]),
  pools: ledger.pools.map((pool) => ({
    name: pool.name,
    faults: pool.faults,
    gives: pool.gives,
    counts: [pool.capacity, pool.used, pool.available, ledger.freeCount(pool.name)],
    claimed: [...pool.claimed].sort(),
    lowest: Option.getOrUndefined(ledger.lowestFree(pool.name)),
    queue: ledger.waitingFor(pool.name).map(({ key }) => key)
  }))
})

/** The lowest address that nobody has, found by looking at every one. */
const lowestByLooking = (ledger: Ledger, name: string): string | undefined => {
  const pool = ledger.pool(name)!
  if (!pool.gives) return undefined
  for (let offset = 0; offset < pool.capacity; offset++) {
    const candidate = pool.addresses!.nth(offset)!
    if (!ledger.isTaken(candidate) && ledger.forbidden(candidate) === undefined) return candidate
  }
  return undefined
}

describe("the ledger", () => {
  it.prop(
    "says the same after any history as one that sees only what is there",
    [Steps],
    ([steps]) => {
      const ledger = new Ledger({ loadBalancers: "default" })
      const present = new Map<string, LedgerChange>()
      for (const step of steps) {
        const object = objectFrom(step)
        const { namespace, name } = object.metadata
        const key = namespace === undefined ? name : `${namespace}/${name}`
        const before = present.get(step.kind + key)?.after
        const after = step.gone ? undefined : object
        ledger.apply({ kind: step.kind, key, before, after } as LedgerChange)
        if (after === undefined) present.delete(step.kind + key)
        else present.set(step.kind + key, { kind: step.kind, key, before: undefined, after } as LedgerChange)
        for (const pool of ledger.pools) {
          const lowest = Option.getOrUndefined(ledger.lowestFree(pool.name))
          expect(lowest).toBe(lowestByLooking(ledger, pool.name))
          if (lowest !== undefined) expect(pool.addresses!.contains(lowest)).toBe(true)
        }
      }
      const fresh = new Ledger({ loadBalancers: "default" })
      for (const change of [...present.values()].reverse()) fresh.apply(change)
      expect(answersOf(ledger)).toEqual(answersOf(fresh))
    },
    { arbitrary: { runs: 300, size: 150 } }
  )

  it.prop(
    "gives an address back that was reserved and released, and none twice in between",
    [Schema.Array(Small).check(Schema.isMaxLength(60))],
    ([numbers]) => {
      const ledger = new Ledger({ loadBalancers: "default" })
      ledger.apply({
        kind: "IpClaimPool",
        key: "p",
        before: undefined,
        after: poolOf("p", { cidr: "10.0.0.0/28" })
      })
      const held = new Map<string, string>()
      for (const number of numbers) {
        const [taken] = [...held].filter((_, index) => index === number % 7)
        if (number % 3 === 0 && taken !== undefined) {
          ledger.release(...taken)
          held.delete(taken[0])
          continue
        }
        const lowest = Option.getOrUndefined(ledger.lowestFree("p"))
        if (lowest === undefined) expect(held.size).toBe(14)
        else {
          expect(held.has(lowest)).toBe(false)
          expect(ledger.reserve(lowest, `default/${number}`)).toBe(true)
          held.set(lowest, `default/${number}`)
        }
      }
      expect(ledger.freeCount("p")).toBe(14 - held.size)
      for (const each of held) ledger.release(...each)
      expect(Option.getOrUndefined(ledger.lowestFree("p"))).toBe("10.0.0.1")
    }
  )
})
