import { setTimeout as delay } from "node:timers/promises"
import { type KindId, resourceName } from "../Kind.ts"
import type { ClusterAccess } from "../kube/access.ts"
import { compare, refOfRaw, requireNotBefore } from "./compare.ts"
import { InFlight } from "./inFlight.ts"
import type { KnownStates } from "./known.ts"
import { ClusterWentBack, Deposed, LogLost, type Publisher } from "./publisher.ts"
import { Gone, newestVersion, Refused, type SourceTimes, Unreachable, watch } from "./source.ts"

export interface ResourceOptions {
  readonly cluster: ClusterAccess
  readonly kind: KindId
  readonly known: KnownStates
  readonly publisher: Publisher
  readonly times: SourceTimes
  readonly signal: AbortSignal
  /** The resource version of the last list that was published; a lower one means that the cluster went back. */
  readonly lastListed: string | undefined
  /** Everything up to this list is in the log. */
  readonly synced: (resourceVersion: string) => Promise<void>
  readonly say: (what: ResourceNews) => void
}

export type ResourceNews =
  | {
      readonly _tag: "Listed"
      readonly resource: string
      readonly objects: number
      readonly published: number
    }
  | { readonly _tag: "Trouble"; readonly resource: string; readonly message: string }
  | { readonly _tag: "Restarted"; readonly resource: string }

/**
 * Follows one resource for as long as the signal lets it: list, compare, publish the differences, then watch; after a
 * break the watch goes on where the last published event was, or, where that is not possible, with a new list.
 */
export const followResource = async (options: ResourceOptions): Promise<never> => {
  const { signal, kind, say } = options
  const resource = resourceName(kind)
  let cursor: string | undefined
  let newest = options.lastListed
  let failures = 0
  let unreachable = 0
  for (;;) {
    signal.throwIfAborted()
    try {
      if (cursor === undefined) {
        cursor = await compare(options, newest)
        await options.synced(cursor)
      } else {
        // It may be another API server that answers now. A watch from a version that is yet to come says nothing.
        requireNotBefore(kind, await newestVersion(options.cluster, kind, options.times, signal), cursor)
      }
      newest = cursor
      unreachable = 0
      await follow(options, cursor, (version) => {
        // Only a watch that told us something was worth its opening.
        if (version !== cursor) failures = 0
        cursor = version
        newest = version
      })
      say({ _tag: "Restarted", resource })
      // A server that ends every watch at once is not asked again at once.
      failures++
      if (failures > 1) await pause(failures, undefined, signal)
    } catch (cause) {
      signal.throwIfAborted()
      if (isFatal(cause)) throw cause
      failures++
      // After a 410, and when the API server was away (it may be another one, on another etcd), only a list tells.
      // A single lost request is no absence, and one that has too much to do is not asked for more.
      if (cause instanceof Unreachable) unreachable++
      if (cause instanceof Gone || unreachable > 1) cursor = undefined
      if (cause instanceof Refused && cause.status !== tooManyRequests) cursor = undefined
      say({ _tag: "Trouble", resource, message: cause instanceof Error ? cause.message : String(cause) })
      await pause(failures, cause instanceof Refused ? cause.retryAfterMillis : undefined, signal)
    }
  }
}

const tooManyRequests = 429

const isFatal = (cause: unknown): boolean =>
  cause instanceof Deposed || cause instanceof LogLost || cause instanceof ClusterWentBack

/** What a server asks for beyond that is taken for a fault of its own. */
const longestPauseMillis = 600_000

/** Jittered, exponential from 100 ms to 10 s; never less than what the server asked for, up to ten minutes. */
const pause = async (failures: number, atLeast: number | undefined, signal: AbortSignal): Promise<void> => {
  const ceiling = Math.min(100 * 2 ** Math.min(failures - 1, 10), 10_000)
  const millis = Math.max(Math.min(atLeast ?? 0, longestPauseMillis), ceiling * (0.5 + 0.5 * Math.random()))
  await delay(millis, undefined, { signal })
}

/** Watches until the watch ends; the cursor moves when everything up to it is in the log. */
const follow = async (
  options: ResourceOptions,
  from: string,
  move: (resourceVersion: string) => void
): Promise<void> => {
  const { kind, known, publisher } = options
  const inFlight = new InFlight()
  let seen = from
  // Ends the request when we leave early: a publish failed for good.
  const own = new AbortController()
  try {
    for await (const event of watch(
      options.cluster,
      kind,
      from,
      options.times,
      AbortSignal.any([options.signal, own.signal])
    )) {
      if (event.type !== "BOOKMARK") {
        const { object } = event
        const ref = refOfRaw(object)
        const isGone = event.type === "DELETED"
        await inFlight.add(publisher.publish({ kind, ref, isGone, object, synthesized: false }, known))
      }
      seen = event.object.metadata.resourceVersion
    }
  } finally {
    own.abort()
    if (!options.signal.aborted) {
      await inFlight.drained()
      move(seen)
    }
  }
}
