import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import {
  defineFunction,
  every,
  Fleet,
  Kube,
  read,
  refKey,
  refOf,
  remove,
  seeFleet,
  type Tick
} from "#runtime"
import { IpClaim, IpClaimPool, IpNode, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import { countsOtherwise } from "../domain/pool-entry.ts"
import type { Settings } from "../domain/settings.ts"
import { abandoned, type Drift, findDrifts } from "./decide.ts"
import { findFleetDrifts, placedWithoutClaim } from "./fleet.ts"
import { everyMillis, remindersOf } from "./reminders.ts"

const mended = Metric.counter("extip_sweep_drifts_total", {
  description: "Drifts that the sweep found and had mended, by cause",
  incremental: true
})

const mend = Effect.fnUntraced(function* ({ cause, mendedBy, kind, ref, what }: Drift) {
  const kube = yield* Kube
  yield* kube.wake(mendedBy, kind, ref)
  yield* Metric.update(Metric.withAttributes(mended, { cause }), 1)
  yield* Effect.logWarning(`${cause}: ${what}`).pipe(
    Effect.annotateLogs({ [kind.kind.toLowerCase()]: refKey(ref), mendedBy })
  )
})

/**
 * Finds what has drifted apart, and has it mended by the function whose work it is; and has it said again why a Service
 * lacks what it asks for.
 *
 * Reads   Services, claims, pools and nodes; a claim that is missing, though it is placed, from the API server.
 * Writes  nothing but wake-ups; deletes claims that no Service holds.
 * Repeat  harmless: whoever is woken looks for himself.
 */
export const sweep = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineFunction({
    name: "sweep",
    on: [every(everyMillis)],
    needs: [read(...ledgerReads, IpNode), remove(IpClaim), seeFleet],
    handle: Effect.fnUntraced(function* ({ at }: Tick) {
      const [kube, fleet, now] = [yield* Kube, yield* Fleet, yield* Clock.currentTimeMillis]
      const world = {
        find: kube.find.bind(kube),
        list: kube.list.bind(kube),
        fleet,
        settings,
        now
      }
      const drifts = [
        ...findDrifts(kube.list(Service), kube.list(IpClaim), kube.index(ledgerOf), settings),
        ...findFleetDrifts(world)
      ]
      for (const ref of placedWithoutClaim(world)) {
        if ((yield* kube.get(IpClaim, ref)) !== undefined) continue
        const cause = "AssignmentWithoutClaim"
        drifts.push({ cause, mendedBy: "assign-on-claim", kind: IpClaim, ref, what: ref.name })
      }
      for (const drift of drifts) yield* mend(drift)
      for (const claim of abandoned(kube.list(IpClaim), kube.index(ledgerOf), now)) {
        const { uid, resourceVersion } = claim.metadata
        yield* kube.remove(IpClaim, refOf(claim), { uid, resourceVersion })
        yield* Metric.update(Metric.withAttributes(mended, { cause: "Abandoned" }), 1)
        yield* Effect.logWarning(`Abandoned: ${claim.metadata.name} named no Service`)
      }
      // To tell it of each Service's change, as other controllers write there too, would cost more than a minute's delay.
      for (const { name } of kube.index(ledgerOf).pools.filter(countsOtherwise)) {
        yield* kube.wake("summarize-pool", IpClaimPool, { namespace: "", name })
      }
      for (const { ref, saidBy } of remindersOf(kube.list(Service), kube.index(ledgerOf), settings, at)) {
        yield* kube.wake(saidBy, Service, ref)
      }
      return drifts.length === 0 ? undefined : `found ${drifts.length} drifts`
    })
  })
}
