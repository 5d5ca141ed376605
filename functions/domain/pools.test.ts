import { describe, expect, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { addressOf, numberOf, parseCidr } from "./addresses.ts"
import { FreeAddresses } from "./free-addresses.ts"
import type { PoolSpec } from "./kinds.ts"
import type { PoolAddresses } from "./pool-addresses.ts"
import { addressesOf, countOf, overlapOf } from "./pools.ts"

const read = (spec: Pick<PoolSpec, "cidr" | "ranges" | "avoidBuggyIPs">): PoolAddresses =>
  Result.getOrThrow(addressesOf(spec))

const all = (addresses: PoolAddresses): Array<string> =>
  Array.from({ length: Number(addresses.capacity) }, (_, offset) => addresses.nth(offset)!)

describe("a pool gives out", () => {
  it.each<[string, PoolSpec, Array<string>]>([
    [
      "every address of its ranges",
      {
        cidr: "192.168.0.248/29",
        ranges: [
          ["192.168.0.249", "192.168.0.250"],
          ["192.168.0.252", "192.168.0.253"]
        ]
      },
      ["192.168.0.249", "192.168.0.250", "192.168.0.252", "192.168.0.253"]
    ],
    ["no network and no broadcast address", { cidr: "10.0.0.0/30" }, ["10.0.0.1", "10.0.0.2"]],
    [
      "neither of them, though a range names them",
      {
        cidr: "10.0.0.0/30",
        ranges: [
          ["10.0.0.0", "10.0.0.1"],
          ["10.0.0.3", "10.0.0.3"]
        ]
      },
      ["10.0.0.1"]
    ],
    ["both addresses of a /31", { cidr: "10.0.0.4/31" }, ["10.0.0.4", "10.0.0.5"]],
    ["the one address of a /32", { cidr: "10.0.0.4/32" }, ["10.0.0.4"]],
    ["no subnet-router anycast address", { cidr: "fd00::/126" }, ["fd00::1", "fd00::2", "fd00::3"]],
    ["both addresses of a /127", { cidr: "fd00::/127" }, ["fd00::", "fd00::1"]],
    [
      "ranges in ascending order",
      {
        cidr: "10.0.0.0/24",
        ranges: [
          ["10.0.0.9", "10.0.0.9"],
          ["10.0.0.2", "10.0.0.3"]
        ]
      },
      ["10.0.0.2", "10.0.0.3", "10.0.0.9"]
    ],
    [
      "nothing that ends in .0 or .255, when it avoids buggy ones",
      {
        cidr: "10.0.0.0/16",
        ranges: [
          ["10.0.1.254", "10.0.2.1"],
          ["10.0.3.255", "10.0.4.0"]
        ],
        avoidBuggyIPs: true
      },
      ["10.0.1.254", "10.0.2.1"]
    ]
  ])("%s", (_, spec, want) => {
    const addresses = read(spec)
    expect(all(addresses)).toEqual(want)
    expect(addresses.nth(want.length)).toBeUndefined()
    for (const [offset, address] of want.entries()) {
      expect(addresses.contains(address)).toBe(true)
      expect(addresses.offsetOf(address)).toBe(offset)
    }
  })

  it("counts what it has, however much that is", () => {
    expect(read({ cidr: "10.0.0.0/8", avoidBuggyIPs: true }).capacity).toBe(65536n * 254n)
    expect(read({ cidr: "10.0.0.0/16" }).capacity).toBe(65534n)
    const wide = read({ cidr: "fd00::/64" })
    expect(wide.capacity).toBe(2n ** 64n - 1n)
    expect(countOf(wide.capacity)).toBe(Number.MAX_SAFE_INTEGER)
    expect(wide.nth(0)).toBe("fd00::1")
    expect(wide.contains("fd00::ffff:ffff:ffff:ffff")).toBe(true)
    expect(wide.contains("fd00::")).toBe(false)
  })

  it("leaves out whole networks when told to, at no cost for their size", () => {
    const left = read({ cidr: "fd00::/48" }).without([parseCidr("fd00::/64")!, parseCidr("10.0.0.0/8")!])
    expect(left.nth(0)).toBe("fd00:0:0:1::")
    expect(left.capacity).toBe(2n ** 80n - 2n ** 64n)
    expect(all(read({ cidr: "10.0.0.0/29" }).without([parseCidr("10.0.0.2/31")!]))).toEqual([
      "10.0.0.1",
      "10.0.0.4",
      "10.0.0.5",
      "10.0.0.6"
    ])
    expect(read({ cidr: "10.0.0.0/29" }).without([parseCidr("10.0.0.0/8")!]).capacity).toBe(0n)
  })
})

describe("a pool is refused", () => {
  it.each<[string, PoolSpec, string, string]>([
    ["a text that is no cidr", { cidr: "10.0.0.0" }, "InvalidCidr", "write 10.0.0.0/32"],
    ["host bits", { cidr: "10.0.0.1/24" }, "InvalidCidr", "write 10.0.0.0/24"],
    [
      "a range outside",
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.9", "10.0.1.2"]] },
      "RangeOutsideCidr",
      "10.0.1.2"
    ],
    [
      "the other family",
      { cidr: "fd00::/64", ranges: [["10.0.0.9", "10.0.0.9"]] },
      "RangeOutsideCidr",
      "10.0.0.9"
    ],
    [
      "no address",
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.09", "10.0.0.9"]] },
      "RangeOutsideCidr",
      "leading zeros"
    ],
    ["no pair", { cidr: "10.0.0.0/24", ranges: [["10.0.0.9"]] }, "RangeOutsideCidr", "no pair"],
    [
      "a reversed range",
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.9", "10.0.0.2"]] },
      "RangeReversed",
      "write [10.0.0.2, 10.0.0.9]"
    ],
    [
      "ranges that overlap",
      {
        cidr: "10.0.0.0/24",
        ranges: [
          ["10.0.0.5", "10.0.0.9"],
          ["10.0.0.2", "10.0.0.5"]
        ]
      },
      "RangesOverlap",
      "write [10.0.0.2, 10.0.0.9]"
    ]
  ])("for %s", (_, spec, reason, hint) => {
    const faults = Result.getOrThrow(Result.flip(addressesOf(spec)))
    expect(faults.map((fault) => fault.reason)).toEqual([reason])
    expect(faults[0]!.message).toContain(hint)
  })

  it("for everything that is wrong at once", () => {
    const ranges = [
      ["10.0.0.9", "10.0.0.2"],
      ["10.1.0.0", "10.1.0.1"]
    ]
    const faults = Result.getOrThrow(Result.flip(addressesOf({ cidr: "10.0.0.0/24", ranges })))
    expect(faults.map((fault) => fault.reason)).toEqual(["RangeReversed", "RangeOutsideCidr"])
  })
})

describe("two pools", () => {
  it.each<[string, PoolSpec, PoolSpec, string | undefined]>([
    [
      "of one cidr with other ranges",
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.1", "10.0.0.4"]] },
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.5", "10.0.0.9"]] },
      undefined
    ],
    ["one within the other", { cidr: "10.0.0.0/16" }, { cidr: "10.0.3.0/24" }, "10.0.3.1 10.0.3.254"],
    [
      "that touch twice",
      {
        cidr: "10.0.0.0/24",
        ranges: [
          ["10.0.0.1", "10.0.0.4"],
          ["10.0.0.8", "10.0.0.8"]
        ]
      },
      { cidr: "10.0.0.0/24", ranges: [["10.0.0.4", "10.0.0.9"]] },
      "10.0.0.4 10.0.0.8"
    ],
    ["of IPv6", { cidr: "fd00::/64" }, { cidr: "fd00::/112" }, "fd00::1 fd00::ffff"],
    ["of two families", { cidr: "10.0.0.0/24" }, { cidr: "fd00::/64" }, undefined]
  ])("%s overlap in %4$s", (_, one, other, want) => {
    for (const common of [overlapOf(read(one), read(other)), overlapOf(read(other), read(one))]) {
      expect(common && `${common.first} ${common.last}`).toBe(want)
    }
  })
})

describe("the lowest free address", () => {
  it("is the lowest one, and the one given back before the next", () => {
    const free = new FreeAddresses(read({ cidr: "10.0.0.0/29" }))
    const used = new Set<string>()
    const take = () =>
      Option.map(
        free.lowest((address) => used.has(address)),
        (address) => used.add(address) && address
      )
    const taken = Array.from({ length: 7 }, () => Option.getOrUndefined(take()))
    expect(taken).toEqual(["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6", undefined])
    for (const address of ["10.0.0.4", "10.0.0.2", "10.0.0.2"]) {
      used.delete(address)
      free.freed(address)
    }
    expect([take(), take(), take()].map(Option.getOrUndefined)).toEqual(["10.0.0.2", "10.0.0.4", undefined])
  })

  it("is not taken by asking for it", () => {
    const free = new FreeAddresses(read({ cidr: "fd00::/64" }))
    expect(free.lowest(() => false)).toEqual(Option.some("fd00::1"))
    expect(free.lowest(() => false)).toEqual(Option.some("fd00::1"))
  })

  const Step = Schema.Struct({
    give: Schema.Boolean,
    which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))
  })
  const Steps = Schema.Array(Step).check(Schema.isMaxLength(120))
  const specs: ReadonlyArray<PoolSpec> = [
    { cidr: "10.0.0.0/27" },
    {
      cidr: "10.0.0.240/28",
      ranges: [
        ["10.0.0.241", "10.0.0.243"],
        ["10.0.0.250", "10.0.0.255"]
      ],
      avoidBuggyIPs: true
    },
    {
      cidr: "10.0.0.0/22",
      ranges: [
        ["10.0.0.250", "10.0.1.5"],
        ["10.0.2.0", "10.0.2.1"]
      ],
      avoidBuggyIPs: true
    },
    {
      cidr: "fd00::/64",
      ranges: [
        ["fd00::", "fd00::5"],
        ["fd00::1:0", "fd00::1:3"]
      ]
    }
  ]
  it.prop("is never outside the pool, never in use, never above a free one", [Steps], ([steps]) => {
    for (const spec of specs) {
      const addresses = read(spec)
      const free = new FreeAddresses(addresses)
      const every = all(addresses)
      const used = new Set<string>()
      for (const { give, which } of steps) {
        // Some are taken by name, some given back, most are taken from below.
        const named = every[which % every.length]!
        if (give && used.delete(named)) free.freed(named)
        else if (which % 5 === 0) used.add(named)
        const want = every.find((address) => !used.has(address))
        const got = Option.getOrUndefined(free.lowest((address) => used.has(address)))
        expect(got).toBe(want)
        if (got !== undefined && !give) used.add(got)
      }
    }
  })

  it.prop(
    "offset and address are each other's",
    [Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 16_000_000 }))],
    ([offset]) => {
      for (const avoidBuggyIPs of [true, false]) {
        const addresses = read({ cidr: "10.0.0.0/8", avoidBuggyIPs })
        const address = addresses.nth(offset)!
        expect(addresses.offsetOf(address)).toBe(offset)
        expect(addressOf(numberOf(address))).toBe(address)
      }
    }
  )
})
