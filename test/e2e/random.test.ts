import { afterAll, beforeAll, it } from "@effect/vitest"
import type { NodeLab } from "../support/nodeLab.ts"
import { withParts } from "../support/parts.ts"
import { labOfRandomFaults, randomFaults, seedOf } from "../support/scenarios/random/run.ts"

withParts("addresses under random faults", (shared) => {
  const seed = seedOf()
  let lab: NodeLab
  let addresses: ReadonlyArray<string>

  beforeAll(async () => {
    ;({ lab, addresses } = await labOfRandomFaults(shared, 10_000))
  })
  afterAll(() => lab?.close())

  it(`have one holder at every moment of 200 faults, and the one that is named after each 20 (seed ${seed})`, async () => {
    await randomFaults(lab, addresses, { seed, count: 200, atOnce: 20 })
  }, 1_800_000)
})
