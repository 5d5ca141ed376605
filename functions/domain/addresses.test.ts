import { describe, expect, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import {
  addressOf,
  addressOfClaimName,
  canonicalAddress,
  cidrContains,
  claimName,
  explainAddress,
  explainCidr,
  familyOf,
  hostCidr,
  numberOf,
  parseCidr,
  unusableAs
} from "./addresses.ts"

describe("an address", () => {
  it.each([
    ["192.168.0.249", "192.168.0.249"],
    ["FD00:0:0:0::0010", "fd00::10"],
    ["fd00:0:1:0:0:1:0:0", "fd00:0:1::1:0:0"],
    ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"],
    ["64:ff9b::192.0.2.1", "64:ff9b::c000:201"],
    ["::", "::"]
  ])("%s is written as %s", (text, want) => {
    expect(canonicalAddress(text)).toBe(want)
  })

  it.each([
    ["10.1", "not an IP address"],
    ["", "not an IP address"],
    ["0x7f.0.0.1", "not an IP address"],
    ["256.0.0.1", "not an IP address"],
    [" 10.0.0.1", "not an IP address"],
    ["010.0.0.1", "write 10.0.0.1"],
    ["10.0.0.01", "write 10.0.0.1"],
    ["10.0.0.1/32", "has a mask"],
    ["::ffff:10.0.0.1", "write 10.0.0.1"],
    ["::ffff:a00:1", "write 10.0.0.1"],
    ["fe80::1%eth0", "has a zone"],
    ["fd00::12345", "not an IPv6 address"],
    ["64:ff9b::010.0.0.1", "not an IPv6 address"],
    ["auto", "not an IP address"]
  ])("is not %j: %s", (text, why) => {
    expect(canonicalAddress(text)).toBeUndefined()
    expect(explainAddress(text)).toContain(why)
  })

  it.each([
    ["192.168.0.249", "192-168-0-249", "192.168.0.249/32"],
    ["fd00::10", "fd00-0000-0000-0000-0000-0000-0000-0010", "fd00::10/128"]
  ])("%s is locked by the claim %s of %s", (address, name, cidr) => {
    expect(claimName(address)).toBe(name)
    expect(addressOfClaimName(name)).toBe(address)
    expect(hostCidr(address)).toBe(cidr)
  })

  it.each(["web", "192-168-0-249-29", "010-0-0-1", "fd00--10", "FD00-0000-0000-0000-0000-0000-0000-0010"])(
    "no claim of the name %s",
    (name) => {
      expect(addressOfClaimName(name)).toBeUndefined()
    }
  )

  it.each([
    ["127.0.0.53", "loopback"],
    ["169.254.169.254", "link-local"],
    ["224.0.0.1", "multicast"],
    ["0.0.0.0", "unspecified"],
    ["255.255.255.255", "broadcast"],
    ["::1", "loopback"],
    ["fe80::1", "link-local"],
    ["ff02::1", "multicast"],
    ["::", "unspecified"],
    ["192.168.0.1", undefined],
    ["fd00::1", undefined]
  ])("%s is %s", (address, what) => {
    expect(unusableAs(address)).toBe(what)
  })

  const Part = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))
  it.prop(
    "has one number, one text and one claim",
    [Schema.Array(Part).check(Schema.isMinLength(8), Schema.isMaxLength(8)), Part],
    ([parts, low]) => {
      const v6 = parts.reduce((sum, part) => (sum << 16n) | BigInt(part), 0n)
      const v4 = parts[0]! * 65536 + low
      // ::ffff:0:0/96 is no address of ours.
      const numbers = v6 >> 32n === 0xffffn ? [v4] : [v4, v6]
      for (const number of numbers) {
        const address = addressOf(number)
        expect(numberOf(address)).toBe(number)
        expect(canonicalAddress(address)).toBe(address)
        expect(addressOfClaimName(claimName(address))).toBe(address)
        expect(familyOf(address)).toBe(typeof number === "number" ? "IPv4" : "IPv6")
      }
    }
  )
})

describe("a network", () => {
  it("contains its first and its last address, and none of the other family", () => {
    const cidr = parseCidr("192.168.0.248/29")!
    expect(cidrContains(cidr, "192.168.0.248")).toBe(true)
    expect(cidrContains(cidr, "192.168.0.255")).toBe(true)
    expect(cidrContains(cidr, "192.168.1.0")).toBe(false)
    expect(cidrContains(cidr, "::c0a8:f8")).toBe(false)
    expect(cidrContains(parseCidr("fd00::/64")!, "fd00::ffff:ffff:ffff:ffff")).toBe(true)
    expect(cidrContains(parseCidr("0.0.0.0/0")!, "255.255.255.255")).toBe(true)
    expect(parseCidr("FD00:0::/64")?.text).toBe("fd00::/64")
  })

  it.each([
    ["192.168.0.250/29", "write 192.168.0.248/29"],
    ["fd00::1/64", "write fd00::/64"],
    ["192.168.0.0", "has no mask"],
    ["192.168.0.0/33", "from 0 to 32"],
    ["fd00::/129", "from 0 to 128"],
    ["192.168.0.0/024", "from 0 to 32"],
    ["192.168.0.0/", "from 0 to 32"],
    ["192.168.0.0/24/24", "from 0 to 32"],
    ["192.168/16", "not an IP address"],
    ["010.0.0.0/8", "write 10.0.0.0"],
    ["::ffff:10.0.0.0/120", "write 10.0.0.0"],
    ["", "not an IP address"]
  ])("is not %j: %s", (text, why) => {
    expect(parseCidr(text)).toBeUndefined()
    expect(explainCidr(text)).toContain(why)
  })
})
