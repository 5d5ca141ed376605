import { DiscardPolicy, RetentionPolicy, StorageType, type StreamConfig } from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"

/** How long the event log and the traces are kept, and deletions in the bucket `kube`. */
export const logMaxAgeSeconds = 24 * 60 * 60

/** A publish that is repeated within this time is stored once. */
export const dedupeWindowSeconds = 120

/** The bucket's stream says which `KUBE` it was made from, so that a new log gets a new bucket. */
export const sourceCreatedKey = "extip.ipcontroller.ext/source-created"

export type Config = Partial<StreamConfig> & { readonly name: string }

export const log = (windowSeconds: number): Config => ({
  name: "KUBE",
  subjects: ["kube.>"],
  storage: StorageType.File,
  retention: RetentionPolicy.Limits,
  discard: DiscardPolicy.Old,
  max_age: nanos(logMaxAgeSeconds * 1000),
  max_bytes: 2 * 1024 ** 3,
  duplicate_window: nanos(windowSeconds * 1000),
  allow_direct: true,
  allow_msg_ttl: true
})

/** The world view: fed by the server from `KUBE`, nobody writes to it. `nats kv get/ls/watch kube` works. */
export const world = (source: string): Config => ({
  name: "KV_kube",
  storage: StorageType.File,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.Old,
  allow_direct: true,
  allow_msg_ttl: true,
  allow_rollup_hdrs: true,
  metadata: { [sourceCreatedKey]: source },
  sources: [
    {
      name: "KUBE",
      // Six tokens: ticks (`kube.tick.*`) stay out.
      subject_transforms: [
        {
          src: "kube.*.*.*.*.*",
          dest: "$KV.kube.{{wildcard(1)}}.{{wildcard(2)}}.{{wildcard(3)}}.{{wildcard(4)}}"
        }
      ]
    }
  ]
})

/** Marks and leases of the bridge; keys may carry a TTL. */
export const bridge: Config = {
  name: "KV_bridge",
  subjects: ["$KV.bridge.>"],
  storage: StorageType.File,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  allow_direct: true,
  allow_msg_ttl: true,
  allow_rollup_hdrs: true,
  deny_delete: true,
  subject_delete_marker_ttl: nanos(60_000)
}

export const spans: Config = {
  name: "TRACE",
  subjects: ["trace.>"],
  storage: StorageType.File,
  discard: DiscardPolicy.Old,
  max_age: nanos(logMaxAgeSeconds * 1000),
  max_bytes: 1024 ** 3,
  allow_direct: true
}

export const parked: Config = {
  name: "PARKED",
  subjects: ["parked.>"],
  storage: StorageType.File,
  discard: DiscardPolicy.Old,
  max_msgs_per_subject: 1,
  max_bytes: 256 * 1024 ** 2,
  allow_direct: true,
  allow_rollup_hdrs: true
}

/** How long a node is taken to be there after it has last put its key. It does so every second. */
export const presenceSeconds = 5

/** Deletions in `assignments` are kept for as long; who was away meanwhile goes by what is complete. */
export const deletedAssignmentSeconds = 60 * 60

/** Which nodes there are. When a key expires, the server puts a message in its place: everybody is told. */
export const nodes: Config = {
  name: "KV_nodes",
  subjects: ["$KV.nodes.>"],
  storage: StorageType.File,
  // With more than one, the server would raise a TTL of 5 s to that of its markers.
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  allow_direct: true,
  allow_msg_ttl: true,
  allow_rollup_hdrs: true,
  deny_delete: true,
  subject_delete_marker_ttl: nanos(60_000)
}

/** What each node is to hold or to stand by for. A claim is placed by one atomic batch. */
export const assignments: Config = {
  name: "KV_assignments",
  subjects: ["$KV.assignments.>"],
  storage: StorageType.File,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.New,
  allow_direct: true,
  allow_msg_ttl: true,
  allow_rollup_hdrs: true,
  allow_atomic: true,
  deny_delete: true
}

/** What nodes say: their inventories, and the last report of each kind of each claim. */
export const reports: Config = {
  name: "NODE",
  subjects: ["node.>"],
  storage: StorageType.File,
  max_msgs_per_subject: 1,
  discard: DiscardPolicy.Old,
  max_bytes: 1024 ** 3,
  allow_direct: true
}
