import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  defineBatchFunction,
  Fleet,
  fleetChanged,
  type Keyed,
  Kube,
  place,
  read,
  readFresh,
  type Tell
} from "#runtime"
import { EndpointSlice, IpClaim, IpClaimPool, IpNode, Node, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { localEndpointsIndex } from "../domain/local-endpoints-index.ts"
import type { Settings } from "../domain/settings.ts"
import { type Decision, decide } from "./decide.ts"
import { describe, describeEach, TooEarly } from "./telling.ts"
import { claimsOfEndpoints, claimsOfFleet, claimsOfPool, claimsOfService, claimsOnNodes } from "./wakes.ts"
import type { World } from "./world.ts"

/** Writes down what was decided. */
const carryOut = Effect.fnUntraced(function* ({ places, draining, complete }: Decision) {
  const fleet = yield* Fleet
  yield* fleet.place(places)
  for (const one of draining) yield* fleet.draining(one.node, one.draining)
  for (const { node, inventory } of complete) yield* fleet.complete(node, inventory)
})

/**
 * Decides which node holds an address, and which one stands by for it.
 *
 * Reads   claims, pools, Services and their endpoints, Nodes, IpNodes; the fleet, and what its nodes hold. A claim that
 *         is not there, though a node holds its address, from the API server.
 * Writes  the placements of claims (each under the state that it was decided on), which nodes' slices are whole, and
 *         which nodes are drained.
 * Repeat  harmless: only what is not so yet is written.
 */
export const assignOnClaim = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineBatchFunction({
    name: "assign-on-claim",
    on: [
      IpClaim.touched,
      Node.touched.touches(claimsOnNodes(Node)),
      IpNode.touched.touches(claimsOnNodes(IpNode)),
      IpClaimPool.specChanged.touches(claimsOfPool(ledgerOf)),
      Service.changed.touches(claimsOfService(ledgerOf)),
      EndpointSlice.touched.touches(claimsOfEndpoints(ledgerOf)),
      fleetChanged(["joined", "changed", "lost", "abandoned", "inventory", "report"]).touches(claimsOfFleet)
    ],
    needs: [read(...ledgerReads, IpNode, EndpointSlice), readFresh(IpClaim), place],
    handle: Effect.fnUntraced(function* (claims: ReadonlyArray<Keyed<IpClaim>>, tell: Tell) {
      const [kube, fleet, now] = [yield* Kube, yield* Fleet, yield* Clock.currentTimeMillis]
      const endpoints = kube.index(localEndpointsIndex)
      const ledger = kube.index(ledgerOf)
      const world: World = {
        find: (kind, ref) => kube.find(kind, ref),
        poolOf: (address) => ledger.poolOf(address)?.object,
        endpoints,
        fleet,
        policy: settings.assignPolicy,
        conflictRetryMillis: settings.conflictRetryMillis,
        now
      }
      const woken = claims.map(({ ref }) => ref.name)
      const decision = decide(world, woken)
      yield* carryOut(decision)
      for (const [name, told] of describeEach(decision)) yield* tell({ namespace: "", name }, told)
      // The view may be late, and what is taken off a link is missed at once: the API server itself is asked.
      const gone = yield* Effect.filter(
        decision.orphans,
        (name) => Effect.map(kube.get(IpClaim, { namespace: "", name }), (claim) => claim === undefined),
        { concurrency: 16 }
      )
      // Those that were deleted in this moment are so still: else what holds one of them as well is not complete.
      const deleted = woken.filter((name) => kube.find(IpClaim, { namespace: "", name }) === undefined)
      if (gone.length > 0) yield* carryOut(decide(world, deleted, new Set(gone)))
      const { againMillis } = decision
      const told = describe(decision, gone)
      if (againMillis !== undefined) return yield* new TooEarly({ told, millis: againMillis })
      return told === "" ? undefined : told
    })
  })
}
