import { type KindId, type Ref, refKey } from "../Kind.ts"
import { Conflict } from "../KubeFailure.ts"
import type { RawObject } from "./api.ts"
import type { Json } from "./mergePatch.ts"

/** @throws Conflict when the object is not the one, or not in the state, that `wanted` names. */
export const requireState = (
  verb: string,
  kind: KindId,
  ref: Ref,
  present: RawObject,
  wanted: Json | undefined,
  fields: ReadonlyArray<"uid" | "resourceVersion"> = ["uid", "resourceVersion"]
): void => {
  for (const field of fields) {
    const value = wanted?.[field]
    if (value === undefined || value === present.metadata[field]) continue
    throw new Conflict({
      operation: `${verb} ${kind.kind} ${refKey(ref)}`,
      detail: `${field} is ${present.metadata[field]}, not ${String(value)}`
    })
  }
}
