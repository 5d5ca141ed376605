import { afterAll, beforeAll, it } from "@effect/vitest"
import type { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import { labOfRandomFaults, randomFaults, seedOf } from "../support/scenarios/random/run.ts"

withParts("addresses under random faults", (shared) => {
  const seed = seedOf()
  const count = Number(process.env.EXTIP_FAULTS ?? 15)
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    ;({ lab, addresses } = await labOfRandomFaults(shared, 3_000))
  })
  afterAll(() => lab?.close())

  it(
    `have one holder at every moment, and the one that is named at the end (seed ${seed})`,
    () => randomFaults(lab, addresses, { seed, count, atOnce: 15 }),
    60_000 + count * 10_000
  )
})
