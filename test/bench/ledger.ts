import * as Result from "effect/Result"
import { chooseAddresses } from "../../functions/allocate-on-annotate/decide.ts"
import { entryOf, newClaim } from "../../functions/domain/holding.ts"
import type { IpClaim, IpClaimPool, Service } from "../../functions/domain/kinds.ts"
import { Ledger } from "../../functions/domain/ledger.ts"
import { requestOf } from "../../functions/domain/requests.ts"
import { defaultSettings } from "../../functions/domain/settings.ts"
import { type Figure, median, round } from "./figures.ts"

const metadata = (name: string, namespace?: string) => ({
  name,
  ...(namespace === undefined ? {} : { namespace }),
  uid: `uid-${name}`,
  resourceVersion: "1",
  generation: 1,
  creationTimestamp: "2026-01-01T00:00:00Z"
})

const service = (index: number): Service => ({
  metadata: { ...metadata(`s${index}`, "bench"), annotations: { "external-ip": "auto" } },
  spec: { type: "ClusterIP", ipFamilies: ["IPv4"], ports: [{ port: 80 }] }
})

/** One more allocation: the choice, and what the ledger has to take over after it. */
const allocate = (ledger: Ledger, index: number): void => {
  const asking = service(index)
  const key = `bench/s${index}`
  ledger.apply({ kind: "Service", key, before: undefined, after: asking })
  const request = requestOf(asking, defaultSettings)
  if (request._tag !== "Auto") throw new Error("it asks for an address")
  const chosen = Result.getOrThrow(chooseAddresses(ledger, asking, request, () => undefined))
  const { address } = chosen[0]!
  ledger.reserve(address, key)
  const made = newClaim(address, "bench", [entryOf(asking, "allocated", undefined)])
  const claim: IpClaim = {
    ...made,
    metadata: { ...metadata(made.metadata.name), labels: { "ip-pool-name": "bench" } }
  }
  ledger.apply({ kind: "IpClaim", key: made.metadata.name, before: undefined, after: claim })
  ledger.release(address, key)
  const annotations = { "external-ip": "auto", "ipcontroller.ext/allocated": address }
  const after: Service = { ...asking, metadata: { ...asking.metadata, annotations } }
  ledger.apply({ kind: "Service", key, before: asking, after })
}

/** CPU time of one more allocation, in microseconds, with so many in use: the median of many short runs. */
const costAt = (inUse: number): number => {
  const ledger = new Ledger(defaultSettings)
  const pool: IpClaimPool = { metadata: metadata("bench"), spec: { cidr: "10.0.0.0/8" } }
  ledger.apply({ kind: "IpClaimPool", key: "bench", before: undefined, after: pool })
  for (let index = 0; index < inUse; index++) allocate(ledger, index)
  const costs: Array<number> = []
  const perRun = 200
  for (let round = 0; round < 25; round++) {
    const start = process.cpuUsage()
    for (let index = 0; index < perRun; index++) allocate(ledger, inUse + round * perRun + index)
    const { user, system } = process.cpuUsage(start)
    costs.push((user + system) / perRun)
  }
  return median(costs)
}

export const ledgerFigure = (): Figure => {
  // Warm both sizes before either is measured, and take them in turns.
  costAt(1_000)
  const pairs = Array.from({ length: 5 }, () => [costAt(1_000), costAt(50_000)] as const)
  const few = median(pairs.map(([one]) => one))
  const many = median(pairs.map(([, other]) => other))
  const ratio = median(pairs.map(([one, other]) => other / one))
  return {
    what: "one more allocation with 50,000 in use against 1,000 (CPU)",
    measured: `${round(few)} → ${round(many)} µs, ratio ${round(ratio, 2)}`,
    atLeast: "ratio ≤ 1.2",
    holds: ratio <= 1.2,
    values: { few, many, ratio }
  }
}
