import { join } from "node:path"
import * as Effect from "effect/Effect"
import { cacheFolder } from "../../../infra/local/cache.ts"
import type { Say } from "../../../infra/local/failure.ts"
import { find, onPath } from "../../../infra/local/find.ts"
import { makeLedger } from "../../../infra/local/ledger.ts"
import * as parts from "../../../infra/local/parts.ts"
import { machinesUnavailable } from "./machine.ts"

/** Debian's packages that a node is made of: program → package. */
const debian: Readonly<Record<string, string>> = {
  containerd: "containerd",
  ctr: "containerd",
  runc: "runc",
  nft: "nftables",
  conntrack: "conntrack",
  busybox: "busybox-static",
  openssl: "openssl"
}

/** Why there can be no cluster of real nodes here, or nothing. */
export const realClusterUnavailable = (): string | undefined => {
  const machines = machinesUnavailable()
  if (machines !== undefined) return machines
  const missing = Object.entries(debian).filter(([program]) => onPath(process.env, program) === undefined)
  const packages = new Set(missing.map(([, name]) => name))
  if (onPath({ PATH: "/usr/lib/cni" }, "bridge") === undefined) packages.add("containernetworking-plugins")
  return packages.size === 0 ? undefined : `missing: apt-get install ${[...packages].join(" ")}`
}

/** Where the programs of a cluster are: name → path. */
export interface Programs {
  readonly control: Readonly<Record<string, string>>
  readonly node: Readonly<Record<string, string>>
  readonly dns: string
  readonly nats: string
}

/** Finds them, or builds them. */
export const findPrograms = async (say: Say): Promise<Programs> => {
  // Nodes are made of binaries, not of containers.
  const env = { ...process.env, EXTIP_PARTS: undefined }
  const search = { env, say, ledger: makeLedger(join(cacheFolder(process.env), "started")) }
  const paths = async (part: parts.Part) => {
    const found = await Effect.runPromise(Effect.scoped(find(part, { ...search, without: ["Docker"] })))
    if (found._tag !== "Binaries") throw new Error(`${part.name}: no binaries`)
    return found.paths
  }
  return {
    control: await paths(parts.kubernetes),
    node: await paths(parts.kubernetesNodes),
    dns: (await paths(parts.coredns)).coredns!,
    nats: (await paths(parts.nats))["nats-server"]!
  }
}
