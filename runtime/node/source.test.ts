import { expect, it } from "@effect/vitest"
import { sourceFor } from "./source.ts"

const own = ["192.0.2.9/32", "10.0.0.9/24", "10.1.0.9/16", "fd00::9/64", "fe80::9/64"]

it.each([
  ["in a subnet of the link", "10.1.0.7", own, "10.1.0.9"],
  ["in the first of two", "10.0.0.7", ["10.0.0.9/24", "10.0.0.10/24"], "10.0.0.9"],
  ["in none, who might drop the question for where it comes from", "10.2.0.7", own, undefined],
  ["by a link that has no IPv4", "10.0.0.7", ["fe80::9/64"], undefined],
  ["of IPv6", "fd00::7", own, "fe80::9"],
  ["of IPv6 in no subnet of the link", "fd01::7", own, "fe80::9"],
  ["that is a router, named by its link-local address", "fe80::1", own, "fe80::9"],
  ["of IPv6 by a link without a link-local address", "fd00::7", ["10.0.0.9/24", "fd00::9/64"], "fd00::9"],
  ["of IPv6 by a link that has no IPv6", "fd00::7", ["10.0.0.9/24"], undefined]
])("a neighbour %s is asked from the address that it answers to", (_, neighbour, of, want) => {
  expect(sourceFor(of, neighbour)).toBe(want)
})
