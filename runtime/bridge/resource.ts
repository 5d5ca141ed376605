import { setTimeout as delay } from "node:timers/promises"
import { type KindId, type Ref, refKey, resourceName } from "../Kind.ts"
import type { ClusterAccess } from "../kube/access.ts"
import type { RawObject } from "../kube/api.ts"
import { objectToken } from "../nats/names.ts"
import { InFlight } from "./inFlight.ts"
import type { KnownStates } from "./known.ts"
import { ClusterWentBack, Deposed, isOlder, LogLost, type Publisher } from "./publisher.ts"
import { Gone, list, newestVersion, Refused, type SourceTimes, Unreachable, watch } from "./source.ts"

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

const refOfRaw = (object: RawObject): Ref => ({
  namespace: object.metadata.namespace ?? "",
  name: object.metadata.name
})

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

/** @throws ClusterWentBack when the API server is at an older version than one that we have seen. */
const requireNotBefore = (kind: KindId, version: string, seen: string | undefined): void => {
  if (seen === undefined || !isOlder(version, seen)) return
  throw new ClusterWentBack(`${resourceName(kind)}: the API server is at ${version}, it was at ${seen}`)
}

const isFatal = (cause: unknown): boolean =>
  cause instanceof Deposed || cause instanceof LogLost || cause instanceof ClusterWentBack

/** Jittered, exponential from 100 ms to 10 s; never less than what the server asked for. */
const pause = async (failures: number, atLeast: number | undefined, signal: AbortSignal): Promise<void> => {
  const ceiling = Math.min(100 * 2 ** Math.min(failures - 1, 10), 10_000)
  const millis = Math.max(atLeast ?? 0, ceiling * (0.5 + 0.5 * Math.random()))
  await delay(millis, undefined, { signal })
}

/** Lists, and publishes what differs from the log. Returns the list's resource version. */
const compare = async (options: ResourceOptions, newestSeen: string | undefined): Promise<string> => {
  const { kind, known, publisher, signal } = options
  const seen = new Set<string>()
  const inFlight = new InFlight()
  let version = ""
  let published = 0
  let newest = newestSeen
  for (const { resourceVersion } of known.values()) {
    if (newest === undefined || isOlder(newest, resourceVersion)) newest = resourceVersion
  }
  for await (const page of list(options.cluster, kind, options.times, signal)) {
    version = page.resourceVersion
    requireNotBefore(kind, version, newest)
    for (const object of page.items) {
      const ref = refOfRaw(object)
      const key = objectToken(kind, ref)
      seen.add(key)
      const before = known.get(key)
      if (before !== undefined && before.deleted !== true) {
        if (before.uid === object.metadata.uid) {
          if (before.resourceVersion === object.metadata.resourceVersion) continue
          if (isOlder(object.metadata.resourceVersion, before.resourceVersion)) {
            throw new ClusterWentBack(
              `${resourceName(kind)} ${refKey(ref)} is at ${object.metadata.resourceVersion}, the log has ${before.resourceVersion}`
            )
          }
        } else {
          published++
          await inFlight.add(publishGone(options, ref, before.uid, before.resourceVersion))
        }
      }
      published++
      await inFlight.add(publisher.publish({ kind, ref, isGone: false, object, synthesized: false }, known))
    }
  }
  for (const [key, state] of known) {
    // An object that is newer than the list was not to be seen in it.
    if (seen.has(key) || state.deleted === true || isOlder(version, state.resourceVersion)) continue
    published++
    await inFlight.add(publishGone(options, state.ref, state.uid, state.resourceVersion))
  }
  await inFlight.drained()
  options.say({ _tag: "Listed", resource: resourceName(kind), objects: seen.size, published })
  return version
}

/** A deletion that nobody watched. Its last state is in the log; what is known is who it was. */
const publishGone = (
  options: ResourceOptions,
  ref: Ref,
  uid: string,
  resourceVersion: string
): Promise<void> => {
  const { kind, known, publisher } = options
  const object: RawObject = {
    apiVersion: kind.group === "" ? kind.version : `${kind.group}/${kind.version}`,
    kind: kind.kind,
    metadata: {
      name: ref.name,
      ...(ref.namespace === "" ? {} : { namespace: ref.namespace }),
      uid,
      resourceVersion
    }
  }
  return publisher.publish({ kind, ref, isGone: true, object, synthesized: true }, known)
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
