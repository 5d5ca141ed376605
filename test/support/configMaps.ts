import * as Schema from "effect/Schema"
import { defineKind, Metadata } from "../../runtime/index.ts"
import type { Cluster, Seen } from "./cluster.ts"

const schema = Schema.Struct({
  metadata: Metadata,
  data: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})

/** The kind that tests of the host put their functions on: every cluster has it, and nothing reacts to it. */
export type ConfigMap = typeof schema.Type
export const ConfigMap = defineKind<ConfigMap>({
  group: "",
  version: "v1",
  kind: "ConfigMap",
  plural: "configmaps",
  namespaced: true,
  schema
})

/** ConfigMaps in a namespace of a test's own. */
export class ConfigMaps {
  readonly namespace: string
  readonly #cluster: Cluster

  constructor(cluster: Cluster, namespace: string) {
    this.#cluster = cluster
    this.namespace = namespace
  }

  ref(name: string) {
    return { namespace: this.namespace, name }
  }

  create(name: string, data: Record<string, string> = {}): Promise<Seen> {
    return this.#cluster.create(ConfigMap, { metadata: this.ref(name), data })
  }

  set(name: string, data: Record<string, string>): Promise<Seen> {
    return this.#cluster.patch(ConfigMap, this.ref(name), { data })
  }

  delete(name: string): Promise<void> {
    return this.#cluster.delete(ConfigMap, this.ref(name))
  }

  async data(name: string): Promise<Record<string, string>> {
    return ((await this.#cluster.get(ConfigMap, this.ref(name)))?.["data"] ?? {}) as Record<string, string>
  }

  list(): Promise<ReadonlyArray<Seen>> {
    return this.#cluster.list(ConfigMap, this.namespace)
  }
}

/** Whether a ConfigMap is in this namespace: functions of one test must not act on what another one left. */
export const isIn = (namespace: string, ...names: ReadonlyArray<string>) =>
  function isInTheTestsNamespace(object: ConfigMap): boolean {
    return (
      object.metadata.namespace === namespace && (names.length === 0 || names.includes(object.metadata.name))
    )
  }
