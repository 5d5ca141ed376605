import { describe, expect, it } from "@effect/vitest"
import type { IpClaimPool } from "../domain/kinds.ts"
import { poolOf } from "../domain/objects.fixture.ts"
import { judgePool } from "./decide.ts"

const lan = poolOf("lan", { cidr: "10.0.0.0/24" }, 5)
const deleted = (pool: IpClaimPool): IpClaimPool => ({
  ...pool,
  metadata: { ...pool.metadata, deletionTimestamp: "2026-01-02T00:00:00Z" }
})

describe("a pool", () => {
  it.each<[string, IpClaimPool, ReadonlyArray<IpClaimPool>]>([
    ["alone", lan, []],
    ["beside itself", lan, [lan]],
    [
      "beside another one",
      lan,
      [poolOf("other", { cidr: "10.0.1.0/24" }), poolOf("six", { cidr: "fd00::/64" })]
    ],
    ["that was there before one that overlaps it", lan, [poolOf("young", { cidr: "10.0.0.0/16" }, 6)]],
    ["beside an older one that is no pool at all", lan, [poolOf("broken", { cidr: "10.0.0.0/2" })]],
    ["beside an older one that is being deleted", lan, [deleted(poolOf("old", { cidr: "10.0.0.0/16" }))]]
  ])("is valid %s", (_, pool, others) => {
    expect(judgePool(pool, others)).toEqual({
      type: "Valid",
      status: "True",
      reason: "Usable",
      message: "254 addresses can be given out",
      observedGeneration: 1
    })
  })

  it.each<[string, IpClaimPool, ReadonlyArray<IpClaimPool>, string, string]>([
    ["no cidr", poolOf("p", { cidr: "10.0.0.1/24" }), [], "InvalidCidr", "write 10.0.0.0/24"],
    [
      "a range outside",
      poolOf("p", { cidr: "10.0.0.0/24", ranges: [["10.0.0.9", "10.0.1.2"]] }),
      [],
      "RangeOutsideCidr",
      "10.0.1.2 of the range [10.0.0.9, 10.0.1.2] is outside of 10.0.0.0/24 (10.0.0.0 to 10.0.0.255)"
    ],
    [
      "a reversed range",
      poolOf("p", { cidr: "fd00::/64", ranges: [["fd00::9", "fd00::2"]] }),
      [],
      "RangeReversed",
      "write [fd00::2, fd00::9]"
    ],
    [
      "ranges that overlap",
      poolOf("p", {
        cidr: "10.0.0.0/24",
        ranges: [
          ["10.0.0.1", "10.0.0.5"],
          ["10.0.0.2", "10.0.0.3"]
        ]
      }),
      [],
      "RangesOverlap",
      "write [10.0.0.1, 10.0.0.5] instead of both"
    ],
    [
      "addresses of an older pool",
      lan,
      [poolOf("old", { cidr: "10.0.0.128/25" }, 4)],
      "OverlapsPool",
      "10.0.0.129 to 10.0.0.254 also belong to the older pool old"
    ],
    [
      "addresses of a pool of the same second whose name comes first",
      lan,
      [poolOf("a", { cidr: "10.0.0.7/32" }, 5)],
      "OverlapsPool",
      "10.0.0.7 also belong to the older pool a"
    ]
  ])("is not valid with %s", (_, pool, others, reason, hint) => {
    const judgement = judgePool(pool, others)
    expect(judgement).toMatchObject({ type: "Valid", status: "False", reason })
    expect(judgement.message).toContain(hint)
  })
})
