import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  type Conflict,
  defineBatchFunction,
  Fleet,
  fleetChanged,
  type Invalid,
  type Keyed,
  patchStatus,
  read,
  refOf,
  seeFleet,
  type Tell
} from "#runtime"
import { IpClaim, Service } from "../domain/kinds.ts"
import type { Settings } from "../domain/settings.ts"
import { changeOf, describe, describeOne } from "./decide.ts"
import { claimsOfFleet, itself } from "./wakes.ts"
import { record } from "./writes.ts"

/** Half of the connections to the API server: allocation goes on meanwhile. */
const atOnce = 32

/**
 * Keeps a claim's status in step with what the nodes report: which one holds the address, on which link, since when.
 *
 * Reads   the nodes' reports and inventories, and where claims are placed.
 * Writes  the claim's status, where it differs; Events on its Services when another node, or a foreign machine, has it.
 * Repeat  harmless: the status is derived anew each time, and what it says already is not written.
 */
export const recordOnBind = (settings: Settings) =>
  defineBatchFunction({
    name: "record-on-bind",
    on: [
      IpClaim.specChanged.touches(itself),
      fleetChanged(["report", "placed", "joined", "changed", "abandoned", "inventory"]).touches(claimsOfFleet)
    ],
    needs: [read(IpClaim, Service), patchStatus(IpClaim), seeFleet],
    // A new claim is placed, bound (60 ms of it are the probes) and reported within it: one write instead of three.
    batch: { afterMillis: 150, most: 1_000 },
    handle: Effect.fnUntraced(function* (claims: ReadonlyArray<Keyed<IpClaim>>, tell: Tell) {
      const [fleet, now] = [yield* Fleet, yield* Clock.currentTimeMillis]
      const changes = claims.flatMap(({ now: claim }) =>
        claim === undefined ? [] : (changeOf(claim, fleet, settings, now) ?? [])
      )
      const failures: Array<Conflict | Invalid> = []
      // One that was overtaken keeps no other from being recorded; an API server that is away keeps all.
      yield* Effect.forEach(
        changes,
        (change) =>
          record(change).pipe(
            Effect.andThen(tell(refOf(change.claim), describeOne(change))),
            Effect.catchTag(["Conflict", "Invalid"], (failure) =>
              Effect.sync(() => {
                failures.push(failure)
              })
            ),
            // It was deleted meanwhile.
            Effect.catchTag("NotFound", () => Effect.void)
          ),
        { concurrency: atOnce, discard: true }
      )
      const failure = failures.find(({ _tag }) => _tag === "Conflict") ?? failures[0]
      if (failure !== undefined) return yield* failure
      return changes.length === 0 ? undefined : describe(changes)
    })
  })
