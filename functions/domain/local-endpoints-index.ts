import { type Change, defineIndex } from "#runtime"
import { EndpointSlice } from "./kinds.ts"
import { LocalEndpoints } from "./local-endpoints.ts"

/** On which nodes Services have endpoints, kept up to date by the host. */
export const localEndpointsIndex = defineIndex({
  name: "extip/local-endpoints",
  reads: [EndpointSlice],
  make: () => {
    const state = new LocalEndpoints()
    return {
      state,
      apply: ({ key, before, after }: Change) =>
        state.apply(key, before as EndpointSlice | undefined, after as EndpointSlice | undefined)
    }
  }
})
