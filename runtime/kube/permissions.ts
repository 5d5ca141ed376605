import * as Effect from "effect/Effect"
import { type FunctionDefinition, Misdeclared } from "../Function.ts"
import type { KindId } from "../Kind.ts"
import type { KubeFailure } from "../KubeFailure.ts"
import { describeNeed, type Need } from "../Needs.ts"
import type { KubeApi } from "./api.ts"

const review: KindId = {
  group: "authorization.k8s.io",
  version: "v1",
  kind: "SelfSubjectAccessReview",
  plural: "selfsubjectaccessreviews",
  namespaced: false
}

/**
 * Asks the API server whether our credentials allow what the functions declare, so that a missing rule is a sentence
 * at start and not a failure at the first event.
 */
export const requirePermissions = (
  api: KubeApi,
  functions: ReadonlyArray<FunctionDefinition<any>>
): Effect.Effect<void, KubeFailure | Misdeclared> =>
  Effect.gen(function* () {
    const wanted = new Map<string, { readonly need: Need; readonly by: Array<string> }>()
    for (const fn of functions) {
      for (const need of fn.needs) {
        // That is the bridge's to do.
        if (need.verb === "watch") continue
        const key = describeNeed(need)
        const entry = wanted.get(key) ?? { need, by: [] }
        entry.by.push(fn.name)
        wanted.set(key, entry)
      }
    }
    const allowed = Effect.fnUntraced(function* (need: Need) {
      const resourceAttributes = {
        verb: need.verb,
        group: need.kind.group,
        resource: need.kind.plural,
        ...(need.subresource === "" ? {} : { subresource: need.subresource })
      }
      const body = {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        metadata: {},
        spec: { resourceAttributes }
      }
      const answer = yield* api.create(review, "", body, { manager: "extip" })
      return (answer["status"] as { allowed?: boolean } | undefined)?.allowed === true
    })
    // One after the other they would be the slowest part of a start.
    const answers = yield* Effect.forEach(wanted.values(), ({ need }) => allowed(need), { concurrency: 16 })
    const missing = [...wanted].flatMap(([key, { by }], index) =>
      answers[index] === true ? [] : [`${key} (for ${by.join(", ")})`]
    )
    if (missing.length > 0) {
      return yield* Effect.fail(
        new Misdeclared(`our credentials lack a permission; add a rule to the role: ${missing.join("; ")}`)
      )
    }
  })
