import { expect, it } from "@effect/vitest"
import type { FleetLink } from "../Fleet.ts"
import { fittingLink } from "./fittingLink.ts"

const link = (name: string, more: Partial<FleetLink> = {}): FleetLink => ({
  name,
  mac: "02:00:00:00:00:01",
  subnets: [],
  carrier: true,
  defaultRoutes: [],
  chosen: false,
  ...more
})
const lan = link("lan", { subnets: ["192.168.0.11/24", "fd00::11/64"] })
const uplink = link("uplink", { subnets: ["10.0.0.2/16"], defaultRoutes: [4, 6] })
const wide = link("wide", { subnets: ["192.168.0.0/16"] })
const chosen = link("bond0", { chosen: true })
const alone = link("cni0", { subnets: ["203.0.113.7/32", "fd01::7/128"] })
const down = (one: FleetLink): FleetLink => ({ ...one, carrier: false })

it.each<[string, ReadonlyArray<FleetLink>, string, string | undefined, string | undefined]>([
  ["the one whose subnet contains it", [uplink, lan], "192.168.0.250", undefined, "lan"],
  ["the same by IPv6", [uplink, lan], "fd00:0:0:0::250", undefined, "lan"],
  ["the narrowest of several subnets", [wide, lan], "192.168.0.250", undefined, "lan"],
  ["the one that works of several subnets", [wide, down(lan)], "192.168.0.250", undefined, "wide"],
  ["the default route's when no subnet contains it", [uplink, lan], "203.0.113.7", undefined, "uplink"],
  [
    "the default route's though another has it by itself",
    [uplink, alone],
    "203.0.113.7",
    undefined,
    "uplink"
  ],
  ["the same by IPv6", [uplink, alone], "fd01::7", undefined, "uplink"],
  ["none without a default route", [lan], "203.0.113.7", undefined, undefined],
  ["the one the administrator chose", [uplink, lan, chosen], "192.168.0.250", undefined, "bond0"],
  ["the one it is pinned to before all", [uplink, lan, chosen], "192.168.0.250", "uplink", "uplink"],
  ["none when the node lacks the one it is pinned to", [lan], "192.168.0.250", "eth9", undefined],
  [
    "none when that has no carrier, rather than another",
    [down(lan), uplink],
    "192.168.0.250",
    undefined,
    undefined
  ],
  ["none for what is no address", [uplink], "web", undefined, undefined]
])("an address is put on %s", (_, links, address, pin, want) => {
  expect(fittingLink(links, address, pin)?.name).toBe(want)
})
