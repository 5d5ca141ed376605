import type { KindId } from "../../runtime/Kind.ts"
import type { Cluster, Seen } from "./cluster.ts"

const atOnce = 16

export const ConfigMaps: KindId = {
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true
}

export const Services: KindId = { ...ConfigMaps, kind: "Service", plural: "services" }

/** Writes ConfigMaps in a namespace of the test's own, and keeps the ids of the events that must come of it. */
export class Writes {
  readonly namespace: string
  /** `Nats-Msg-Id` of each write. */
  readonly ids = new Set<string>()
  readonly #cluster: Cluster
  /** Name → uid */
  readonly #uids = new Map<string, string>()
  #count = 0

  constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster
    this.namespace = namespace
  }

  async create(names: ReadonlyArray<string>, value = "first"): Promise<void> {
    await this.#each(names, async (name) => {
      const metadata = { namespace: this.namespace, name }
      this.#remember(await this.#cluster.create(ConfigMaps, { metadata, data: { value } }))
    })
  }

  /** Changes each of them once; by default to a value that none had before. */
  async change(names: ReadonlyArray<string>, value = `changed ${++this.#count}`): Promise<void> {
    await this.#each(names, async (name) => {
      const ref = { namespace: this.namespace, name }
      this.#remember(await this.#cluster.patch(ConfigMaps, ref, { data: { value } }))
    })
  }

  async remove(names: ReadonlyArray<string>): Promise<void> {
    await this.#each(names, async (name) => {
      await this.#cluster.delete(ConfigMaps, { namespace: this.namespace, name })
      this.ids.add(`${this.#uids.get(name)}.deleted`)
    })
  }

  /** Forgets what was written: a new life of the log need not have it. */
  forget(): void {
    this.ids.clear()
  }

  idOfDeletion(name: string): string {
    return `${this.#uids.get(name)}.deleted`
  }

  #remember({ metadata }: Seen): void {
    this.#uids.set(metadata.name, metadata.uid)
    this.ids.add(`${metadata.uid}.${metadata.resourceVersion}`)
  }

  async #each(names: ReadonlyArray<string>, write: (name: string) => Promise<void>): Promise<void> {
    const left = [...names]
    const worker = async () => {
      for (let name = left.shift(); name !== undefined; name = left.shift()) await write(name)
    }
    await Promise.all(Array.from({ length: atOnce }, worker))
  }
}

/** `a-0` … `a-9` */
export const names = (prefix: string, count: number): ReadonlyArray<string> =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)
