import type { FunctionDefinition } from "../Function.ts"
import { type Kind, resourceName } from "../Kind.ts"

/** The kinds that functions read: what the bridge has to publish, and what the view holds. */
export const kindsOf = (functions: ReadonlyArray<FunctionDefinition<any>>): ReadonlyArray<Kind<any>> => {
  const kinds = new Map<string, Kind<any>>()
  for (const fn of functions) {
    for (const need of fn.needs) if (need.verb === "watch") kinds.set(resourceName(need.kind), need.kind)
  }
  return [...kinds.values()]
}
