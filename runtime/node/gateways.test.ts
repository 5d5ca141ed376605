import { expect, it } from "@effect/vitest"
import { gatewaysIn } from "./gateways.ts"

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
