import * as Schema from "effect/Schema"
import { defineKind, type KubeObject, Metadata } from "../Kind.ts"
import type { RawObject } from "../kube/api.ts"

/** A kind for tests: `colour` is all there is to it. */
export interface Thing extends KubeObject {
  readonly spec: { readonly colour: string }
}
export const Thing = defineKind<Thing>({
  group: "test.example",
  version: "v1",
  kind: "Thing",
  plural: "things",
  namespaced: true,
  schema: Schema.Struct({ metadata: Metadata, spec: Schema.Struct({ colour: Schema.String }) })
})

export const at = (name: string) => ({ namespace: "default", name })

/** A thing as the API server sends it. */
export const raw = (
  name: string,
  resourceVersion: number,
  colour: string,
  uid = `uid-${name}`
): RawObject => ({
  metadata: {
    namespace: "default",
    name,
    uid,
    resourceVersion: String(resourceVersion),
    creationTimestamp: "2026-01-01T00:00:00Z"
  } as RawObject["metadata"],
  spec: { colour }
})
