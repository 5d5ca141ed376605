import * as Schema from "effect/Schema"
import { Assignment as Spec } from "./fleet/messages.ts"
import { defineKind, Metadata } from "./Kind.ts"

const schema = Schema.Struct({ metadata: Metadata, spec: Spec })

/**
 * What a node must do for one claim: hold its address, or stand by for the node that does. The objects of this kind are
 * not in Kubernetes: they are this node's keys in the NATS bucket `assignments`, and exist for functions on nodes only.
 */
export type Assignment = typeof schema.Type
export const Assignment = defineKind<Assignment>({
  group: "nats",
  version: "v1",
  kind: "Assignment",
  plural: "assignments",
  namespaced: false,
  schema
})
