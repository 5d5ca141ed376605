import * as Effect from "effect/Effect"
import type { TestProject } from "vitest/node"
import { settleReaper } from "../../infra/local/index.ts"
import setup from "../support/globalSetup.ts"

/** As for the integration suite, with the parts as containers. Workers have the variable from `vitest.config.ts`. */
export default async (project: TestProject): Promise<() => Promise<void>> => {
  const before = process.env.EXTIP_PARTS
  process.env.EXTIP_PARTS = "containers"
  try {
    await Effect.runPromise(settleReaper((line) => console.log(line)))
    return await setup(project)
  } finally {
    if (before === undefined) delete process.env.EXTIP_PARTS
    else process.env.EXTIP_PARTS = before
  }
}
