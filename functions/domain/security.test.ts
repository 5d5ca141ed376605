import { describe, expect, it } from "@effect/vitest"
import { parseCidr } from "./addresses.ts"
import { Ledger } from "./ledger.ts"
import { nodeOf, serviceOf } from "./objects.fixture.ts"

const ledger = new Ledger({
  loadBalancers: "default",
  forbiddenCidrs: [parseCidr("192.168.0.1/32")!, parseCidr("10.96.0.0/12")!]
})
const node = nodeOf("n1", ["192.168.0.11", "fd00::11"], ["10.244.1.0/24", "fd00:10:244:1::/64"])
const dns = serviceOf("dns", { namespace: "kube-system", spec: { clusterIP: "172.20.0.10" } })
ledger.apply({ kind: "Node", key: "n1", before: undefined, after: node })
ledger.apply({ kind: "Service", key: "kube-system/dns", before: undefined, after: dns })

describe("whoever asks, no Service is given", () => {
  it.each([
    ["127.0.0.1", "is a loopback address"],
    ["::1", "is a loopback address"],
    ["169.254.169.254", "is a link-local address"],
    ["fe80::1", "is a link-local address"],
    ["224.0.0.251", "is a multicast address"],
    ["ff02::fb", "is a multicast address"],
    ["0.0.0.0", "is an unspecified address"],
    ["255.255.255.255", "is a broadcast address"],
    ["192.168.0.11", "is an address of node n1"],
    ["fd00::11", "is an address of node n1"],
    ["10.244.1.7", "belongs to the pods of node n1"],
    ["fd00:10:244:1::7", "belongs to the pods of node n1"],
    ["172.20.0.10", "is the clusterIP of Service kube-system/dns"],
    ["10.100.0.1", "is in 10.96.0.0/12, which the administrator forbids"],
    ["192.168.0.1", "is in 192.168.0.1/32, which the administrator forbids"]
  ])("%s: it %s", (address, why) => {
    expect(ledger.forbidden(address)).toBe(why)
  })

  it.each(["192.168.0.250", "10.244.2.7", "fd00::12", "172.20.0.11"])("but why not %s", (address) => {
    expect(ledger.forbidden(address)).toBeUndefined()
  })
})
