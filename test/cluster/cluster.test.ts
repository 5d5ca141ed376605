import { afterAll, beforeAll, describe } from "@effect/vitest"
import { Client } from "../support/machines/client.ts"
import { ExtipOn } from "../support/machines/extipOn.ts"
import { realClusterUnavailable } from "../support/machines/programs.ts"
import { RealCluster } from "../support/machines/realCluster.ts"
import { suite } from "../support/suite.ts"
import { deploying } from "./deploying.ts"
import type { Ground } from "./ground.ts"
import { outages } from "./outages.ts"
import { upgrading } from "./upgrade.ts"

suite("a cluster of real nodes", realClusterUnavailable(), () => {
  let cluster: RealCluster
  let client: Client
  let extip: ExtipOn
  const ground: Ground = () => ({ cluster, client, extip })

  // Binaries that are not there yet are built, which takes minutes.
  beforeAll(async () => {
    cluster = await RealCluster.open((line) => console.log(line))
    client = await Client.open(cluster)
    extip = new ExtipOn(cluster)
  }, 1_200_000)
  afterAll(async () => {
    client?.close()
    await cluster?.close()
  }, 120_000)

  // In this order: each goes on with what the one before it has left.
  describe("extip", () => deploying(ground))
  describe("an outage", () => outages(ground))
  describe("an update", () => upgrading(ground))
})
