import type { Client } from "../support/machines/client.ts"
import type { ExtipOn } from "../support/machines/extipOn.ts"
import type { RealCluster } from "../support/machines/realCluster.ts"

/** What the tests of one cluster share; there once it is up. */
export type Ground = () => {
  readonly cluster: RealCluster
  readonly extip: ExtipOn
  readonly client: Client
}
