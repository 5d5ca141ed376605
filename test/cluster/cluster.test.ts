import { describe } from "@effect/vitest"
import { realClusterUnavailable } from "../support/machines/programs.ts"
import { suite } from "../support/suite.ts"
import { deploying } from "./deploying.ts"
import { openGround } from "./ground.ts"
import { outages } from "./outages.ts"
import { upgrading } from "./upgrade.ts"

suite("a cluster of real nodes", realClusterUnavailable(), () => {
  const ground = openGround()
  // In this order: each goes on with what the one before it has left.
  describe("extip", () => deploying(ground))
  describe("an outage", () => outages(ground))
  describe("an update", () => upgrading(ground))
})
