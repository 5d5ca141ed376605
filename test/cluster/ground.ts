import { afterAll, beforeAll } from "@effect/vitest"
import { Client } from "../support/machines/client.ts"
import { ExtipOn } from "../support/machines/extipOn.ts"
import { RealCluster } from "../support/machines/realCluster.ts"

interface OpenGround {
  readonly cluster: RealCluster
  readonly extip: ExtipOn
  readonly client: Client
}

/** What the tests of one cluster share; there once it is up. */
export type Ground = () => OpenGround

/** A cluster for the suite that this is called in, with a client beside it. */
export const openGround = (): Ground => {
  let cluster: RealCluster | undefined
  let client: Client | undefined
  let ground: OpenGround | undefined
  // Binaries that are not there yet are built, which takes minutes.
  beforeAll(async () => {
    cluster = await RealCluster.open((line) => console.log(line))
    client = await Client.open(cluster)
    ground = { cluster, client, extip: new ExtipOn(cluster) }
  }, 1_200_000)
  afterAll(async () => {
    client?.close()
    await cluster?.close()
  }, 120_000)
  return () => {
    if (ground === undefined) throw new Error("the cluster is not up")
    return ground
  }
}
