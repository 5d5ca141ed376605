import { expect, it } from "@effect/vitest"
import { gatewaysIn, gatewaysIn6 } from "./gateways.ts"

const routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	01004D0A	0003	0	0	0	00000000	0	0	0
eth1	00000000	01014D0A	0003	0	0	100	00000000	0	0	0
eth0	00004D0A	00000000	0001	0	0	0	0000FFFF	0	0	0
`

it("of a link is the router that its default route goes to", () => {
  expect(gatewaysIn(routes, "eth0")).toEqual(["10.77.0.1"])
  expect(gatewaysIn(routes, "eth1")).toEqual(["10.77.1.1"])
})

it("of a link without a default route is none", () => {
  expect(gatewaysIn(routes, "eth2")).toEqual([])
  expect(gatewaysIn("", "eth0")).toEqual([])
})

/** As Linux shows them: two routers of eth0, a subnet behind a third one, a default route of p without a router. */
const routes6 = `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fd770000000000000000000000000001 00000400 00000001 00000000 00000003     eth0
${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe800000000000000000000000000001 000007d0 00000001 00000000 00000003     eth0
${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe800000000000000000000000000001 00000fa0 00000001 00000000 00000003     eth0
fd780000000000000000000000000000 40 ${"0".repeat(32)} 00 fd770000000000000000000000000002 00000400 00000001 00000000 00000003     eth0
fd770000000000000000000000000009 80 ${"0".repeat(32)} 00 ${"0".repeat(32)} 00000000 00000002 00000000 80200001     eth0
${"0".repeat(32)} 00 ${"0".repeat(32)} 00 ${"0".repeat(32)} 00000fa0 00000001 00000000 00000001        p
${"0".repeat(32)} 00 ${"0".repeat(32)} 00 ${"0".repeat(32)} ffffffff 00000001 00000000 00200200       lo
`

it("of IPv6 are each named once, as its neighbours name it", () => {
  expect(gatewaysIn6(routes6, "eth0")).toEqual(["fd77::1", "fe80::1"])
  expect(["p", "lo", "eth2"].flatMap((link) => gatewaysIn6(routes6, link))).toEqual([])
  expect(gatewaysIn6("", "eth0")).toEqual([])
})
