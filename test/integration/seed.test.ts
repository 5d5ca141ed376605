import { readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { IpClaim, IpClaimPool } from "../../functions/domain/kinds.ts"
import { repository } from "../support/cluster.ts"
import { Ours } from "../support/ours.ts"
import { withParts } from "../support/parts.ts"
import { stays, until } from "../support/until.ts"

/** The original k8s-externalipcontroller's README on auto-allocation, sentence by sentence, on its own pool. */
withParts("auto-allocation, as the original describes it", (shared) => {
  let ours: Ours
  const pool = { namespace: "", name: "test-pool" }
  const poolStatus = async () => (await ours.cluster.get(IpClaimPool, pool))?.status
  const allocated = async (want: Record<string, string>) => {
    await until(
      `the pool to list ${JSON.stringify(want)}`,
      async () => {
        const map = (await poolStatus())?.allocated ?? {}
        const sorted = (record: object) => JSON.stringify(Object.entries(record).sort())
        return sorted(map) === sorted(want)
      },
      { last: poolStatus }
    )
  }

  beforeAll(async () => {
    ours = await Ours.open(shared, "seed")
    await ours.cluster.kubectl("delete --ignore-not-found ippool/test-pool")
    await ours.start()
  })
  afterAll(async () => {
    await ours?.cluster.kubectl("delete --ignore-not-found ippool/test-pool ippool/seed-cidr")
    await ours?.close()
  })

  it("serves Services that were annotated before there was a pool, which the original did not", async () => {
    await ours.service("early")
    expect(await ours.event("early", "AllocationFailed")).toContain("there is no pool; create an IpClaimPool")
    const yaml = readFileSync(join(repository, "infra/examples/pool.yaml"), "utf8")
    expect(yaml).toContain("cidr: 192.168.0.248/29")
    await ours.cluster.kubectl("apply -f -", yaml)
    await ours.shows("early", "192.168.0.249")
  })

  it("gives a Service annotated `external-ip: auto` the first free address of the pool's ranges", async () => {
    await ours.service("second", { annotations: {} })
    await ours.cluster.kubectl("annotate service second -n seed external-ip=auto")
    await ours.shows("second", "192.168.0.250")
  })

  it("makes an IpClaim of the address that carries the pool's name as a label", async () => {
    const claims = await ours.cluster.list(IpClaim, "", { labelSelector: "ip-pool-name=test-pool" })
    expect(
      claims.map(({ metadata, spec }) => [metadata.name, spec.cidr, spec.services[0].name]).sort()
    ).toEqual([
      ["192-168-0-249", "192.168.0.249/32", "early"],
      ["192-168-0-250", "192.168.0.250/32", "second"]
    ])
  })

  it("lists the address and its claim in the pool's `allocated`", async () => {
    await allocated({ "192.168.0.249": "192-168-0-249", "192.168.0.250": "192-168-0-250" })
  })

  it("goes on with the next range when the first is used up", async () => {
    await ours.service("third")
    await ours.shows("third", "192.168.0.252")
    await ours.service("fourth")
    await ours.shows("fourth", "192.168.0.253")
  })

  it("gives no address when the pool is exhausted, and says so, on the Service and on the pool", async () => {
    await ours.service("fifth")
    expect(await ours.event("fifth", "AllocationFailed")).toContain(
      "test-pool has no free address (4 of 4 in use)"
    )
    await until("the pool to be exhausted", async () =>
      (await poolStatus())?.conditions?.some((one: any) => one.type === "Exhausted" && one.status === "True")
    )
    await stays("the fifth has no address", async () => (await ours.shown("fifth")).length === 0, 300)
  })

  it("takes the address back when its Service is deleted, and gives it to who waits", async () => {
    await ours.removeService("second")
    await ours.shows("fifth", "192.168.0.250")
    expect(await ours.holders("192.168.0.250")).toEqual(["fifth"])
    await ours.removeService("third")
    await ours.unclaimed("192.168.0.252")
    await allocated({
      "192.168.0.249": "192-168-0-249",
      "192.168.0.250": "192-168-0-250",
      "192.168.0.253": "192-168-0-253"
    })
    await ours.service("sixth")
    await ours.shows("sixth", "192.168.0.252")
  })

  it("takes every usable address of the cidr where a pool has no ranges", async () => {
    await ours.pool("seed-cidr", { cidr: "10.77.1.0/30" })
    await ours.service("cidr-1", { annotations: { "external-ip": "auto", "external-ip-pool": "seed-cidr" } })
    await ours.shows("cidr-1", "10.77.1.1")
    await ours.service("cidr-2", { annotations: { "external-ip": "auto", "external-ip-pool": "seed-cidr" } })
    await ours.shows("cidr-2", "10.77.1.2")
    expect((await ours.cluster.get(IpClaimPool, { namespace: "", name: "seed-cidr" }))?.status.capacity).toBe(
      2
    )
  })
})
