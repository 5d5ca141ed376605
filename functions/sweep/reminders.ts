import { type Ref, refOf } from "#runtime"
import { isNamedBy } from "../domain/holding.ts"
import type { Service } from "../domain/kinds.ts"
import type { Ledger } from "../domain/ledger.ts"
import { allocatedOf, handWrittenOf } from "../domain/publishing.ts"
import { requestOf, stillAskedFor, wantsAddress } from "../domain/requests.ts"
import type { Settings } from "../domain/settings.ts"

/** How often the sweep looks. */
export const everyMillis = 60_000

/** An Event is gone after an hour, and the trace after a day: whoever lacks something is told why well before. */
const ticksBetween = 15

/** A Service that lacks what it asks for, and which function says why. */
export interface Reminder {
  readonly ref: Ref
  readonly saidBy: "allocate-on-annotate" | "claim-on-external-ip"
}

/** The Services that lack something and whose turn it is at this tick (milliseconds since the epoch): each a quarter of an hour. */
export const remindersOf = function* (
  services: Iterable<Service>,
  ledger: Ledger,
  settings: Settings,
  at: number
): Iterable<Reminder> {
  const tick = Math.floor(at / everyMillis)
  for (const service of services) {
    const { creationTimestamp, deletionTimestamp } = service.metadata
    const since = Math.floor(Date.parse(creationTimestamp ?? "") / everyMillis) || 0
    if (deletionTimestamp !== undefined || tick === since || (tick - since) % ticksBetween !== 0) continue
    const ref = refOf(service)
    const request = requestOf(service, settings)
    const isOpen = wantsAddress(request)
      ? stillAskedFor(request, allocatedOf(service)) !== undefined
      : request._tag === "Refused"
    if (isOpen) yield { ref, saidBy: "allocate-on-annotate" }
    const { addresses, unparsable } = handWrittenOf(service)
    if (unparsable.length > 0 || [...addresses].some((one) => !isNamedBy(ledger.claim(one), service))) {
      yield { ref, saidBy: "claim-on-external-ip" }
    }
  }
}
