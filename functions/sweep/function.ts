import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import { defineFunction, every, Kube, read, refKey, refOf, remove } from "#runtime"
import { IpClaim, Service } from "../domain/kinds.ts"
import { ledgerIndex, ledgerReads } from "../domain/ledger-index.ts"
import type { Settings } from "../domain/settings.ts"
import { abandoned, findDrifts } from "./decide.ts"

const mended = Metric.counter("extip_sweep_drifts_total", {
  description: "Drifts that the sweep found and had mended, by cause",
  incremental: true
})

/**
 * Finds what has drifted apart, and has it mended by the function whose work it is.
 *
 * Reads   Services, claims and pools.
 * Writes  nothing but wake-ups; deletes claims that no Service holds.
 * Repeat  harmless: whoever is woken looks for himself.
 */
export const sweep = (settings: Settings) => {
  const ledgerOf = ledgerIndex(settings)
  return defineFunction({
    name: "sweep",
    on: [every("60 seconds")],
    needs: [read(...ledgerReads), remove(IpClaim)],
    handle: Effect.fnUntraced(function* () {
      const kube = yield* Kube
      const drifts = findDrifts(kube.list(Service), kube.list(IpClaim), kube.index(ledgerOf), settings)
      for (const { cause, mendedBy, service, what } of drifts) {
        yield* kube.wake(mendedBy, Service, service)
        yield* Metric.update(Metric.withAttributes(mended, { cause }), 1)
        yield* Effect.logWarning(`${cause}: ${what}`).pipe(
          Effect.annotateLogs({ service: refKey(service), mendedBy })
        )
      }
      for (const claim of abandoned(kube.list(IpClaim), yield* Clock.currentTimeMillis)) {
        const { uid, resourceVersion } = claim.metadata
        yield* kube.remove(IpClaim, refOf(claim), { uid, resourceVersion })
        yield* Metric.update(Metric.withAttributes(mended, { cause: "Abandoned" }), 1)
        yield* Effect.logWarning(`Abandoned: ${claim.metadata.name} named no Service`)
      }
      return drifts.length === 0 ? undefined : `found ${drifts.length} drifts`
    })
  })
}
