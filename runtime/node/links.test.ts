import { expect, it } from "@effect/vitest"
import { fittingLink } from "../fleet/fittingLink.ts"
import type { Link } from "./kernel/types.ts"
import { usableLinks } from "./links.ts"

const link = (name: string, index: number, more: Partial<Link> = {}): Link => ({
  index,
  name,
  mac: `02:00:00:00:00:0${index}`,
  up: true,
  carrier: true,
  loopback: false,
  kind: undefined,
  addresses: [],
  defaultRoutes: [],
  ...more
})
const own = (address: string, prefix: number, marked = false): Link["addresses"][number] => ({
  address,
  prefix,
  marked,
  validSeconds: Number.POSITIVE_INFINITY,
  linkLocal: false
})
const eth0 = link("eth0", 1, { addresses: [own("10.0.0.9", 24)], defaultRoutes: [4] })
const ipvs = link("kube-ipvs0", 2, {
  kind: "dummy",
  up: false,
  carrier: false,
  addresses: [own("10.96.0.1", 32), own("192.0.2.7", 32)]
})
const names = (links: ReadonlyArray<Link>, chosen?: string) =>
  usableLinks(links, chosen === undefined ? undefined : { name: chosen }).map(({ name }) => name)

it.each<[string, ReadonlyArray<Link>, ReadonlyArray<string>]>([
  [
    "that has an address of its own is used",
    [link("eth1", 3, { addresses: [own("10.1.0.9", 24)] })],
    ["eth1"]
  ],
  ["that has a default route is used", [link("eth1", 3, { defaultRoutes: [6] })], ["eth1"]],
  [
    "that has nothing but what extip put there is not used",
    [link("eth1", 3, { addresses: [own("10.1.0.1", 32, true)] })],
    []
  ],
  [
    "that is the loopback is not used",
    [link("lo", 3, { loopback: true, addresses: [own("127.0.0.1", 8)] })],
    []
  ],
  ["that is no Ethernet is not used", [link("wg0", 3, { mac: "", addresses: [own("10.1.0.9", 24)] })], []],
  ["that is kube-proxy's, with an address for each Service, is not used", [eth0, ipvs], ["eth0"]]
])("a link %s", (_, links, want) => {
  expect(names(links)).toEqual(want)
})

it("a link without anything is used when it is chosen by name", () => {
  expect(names([link("eth1", 3), eth0], "eth1")).toEqual(["eth1", "eth0"])
})

it("an external address that kube-proxy has on its own link goes by the default route all the same", () => {
  expect(fittingLink(usableLinks([eth0, ipvs], undefined), "192.0.2.7", undefined)?.name).toBe("eth0")
})
