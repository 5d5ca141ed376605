import type { FunctionDefinition } from "../Function.ts"
import { logMaxAgeSeconds } from "../nats/configs.ts"
import { newSpan, traceparentOf } from "../trace/context.ts"
import { type Held, lastWoken } from "./held.ts"
import { parentOf, type RunServices, type Target, targetKey } from "./run.ts"
import type { Cause } from "./work.ts"

/** Half of what the log keeps: there is as long again for a wake-up that cannot be published at once. */
const renewAfterMillis = (logMaxAgeSeconds * 1000) / 2

/** Who waits longer runs once in between: each event is to be looked at while there is time. */
export const longestUnseenMillis = renewAfterMillis / 2

/**
 * Wakes anew what is still not done when half of its event's life is over, each target once. The server takes what has left
 * the log for acknowledged, so that no other host would be given it; from then on the wake-up stands for it (`withCause`).
 * What cannot be published is left to the next attempt. Never rejects.
 */
export const renew = async (
  fn: FunctionDefinition<any>,
  entries: ReadonlyArray<{ readonly target: Target; readonly causes: ReadonlyArray<Cause> }>,
  services: RunServices
): Promise<void> => {
  const before = Date.now() - renewAfterMillis
  const renewing: Array<Promise<void>> = []
  for (const { target, causes } of entries) {
    // Of what happens in the fleet nothing is held, and timers tick again.
    const held = (causes as ReadonlyArray<Held>).find(({ sequence }) => sequence > 0)
    if (held === undefined || target._tag === "Tick" || held.renewed?.has(targetKey(target))) continue
    const at = held.woken?.at ?? 0
    if (at === 0 || at > before) continue
    const parent = traceparentOf(parentOf(lastWoken(causes), services) ?? newSpan())
    const renewed = services.wake(fn.name, target.kind, target.ref, parent).then(
      () => {
        held.renewed ??= new Set()
        held.renewed.add(targetKey(target))
      },
      () => undefined
    )
    renewing.push(renewed)
  }
  await Promise.all(renewing)
}
