import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { KindId } from "../Kind.ts"
import { resourceName } from "../Kind.ts"
import type { ClusterAccess } from "../kube/access.ts"
import { Nats } from "../nats/connection.ts"
import { type BridgeNews, runBridge } from "./bridge.ts"
import type { SourceTimes } from "./source.ts"

const published = Metric.counter("extip_bridge_events_published_total", {
  description: "Events published by resource and verb",
  incremental: true
})
const synthesized = Metric.counter("extip_bridge_synthesized_deletes_total", {
  description: "Deletions that nobody watched, found by comparing with a list",
  incremental: true
})
const restarts = Metric.counter("extip_bridge_watch_restarts_total", {
  description: "Watches that had to be opened again, by resource",
  incremental: true
})
const active = Metric.gauge("extip_bridge_active", { description: "1 while this bridge is the active one" })

export interface BridgeProcess {
  /** Active and synced, or waiting to take over: either way it does what it is for. */
  readonly isReady: () => boolean
  readonly run: (signal: AbortSignal) => Promise<void>
}

/** The bridge with its logs and metrics. */
export const bridgeProcess = (
  cluster: ClusterAccess,
  kinds: ReadonlyArray<KindId>,
  options: {
    readonly leaseSeconds: number
    readonly replicas: number | undefined
    readonly times: Partial<SourceTimes>
  }
): Effect.Effect<BridgeProcess, never, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const context = yield* Effect.context<never>()
    const log = Effect.runForkWith(context)
    const synced = new Set<string>()
    let state: "starting" | "standby" | "active" = "starting"
    const say = (news: BridgeNews): void => {
      switch (news._tag) {
        case "Standby":
          state = "standby"
          active.updateUnsafe(0, context)
          return void log(Effect.logInfo("waiting to become the active bridge"))
        case "Active":
          state = "active"
          synced.clear()
          active.updateUnsafe(1, context)
          return void log(
            Effect.logInfo("this bridge is the active one").pipe(
              Effect.annotateLogs({ log: news.incarnation.created, sequence: news.incarnation.lastSequence })
            )
          )
        case "SteppedDown":
          active.updateUnsafe(0, context)
          return void log(Effect.logWarning(`no longer active: ${news.message}`))
        case "Listed":
          return void log(
            Effect.logInfo(`listed ${news.resource}: ${news.objects} objects, ${news.published} published`)
          )
        case "Synced":
          synced.add(news.resource)
          return
        case "Restarted":
          Metric.withAttributes(restarts, { resource: news.resource }).updateUnsafe(1, context)
          return
        case "Trouble":
          Metric.withAttributes(restarts, { resource: news.resource }).updateUnsafe(1, context)
          return void log(Effect.logWarning(`${news.resource}: ${news.message}`))
      }
    }
    // A counter is shown from the first update on, and one that is not there cannot be alerted on.
    synthesized.updateUnsafe(0, context)
    for (const kind of kinds) {
      Metric.withAttributes(restarts, { resource: resourceName(kind) }).updateUnsafe(0, context)
    }
    const counters = new Map<string, Metric.Counter<number>>()
    return {
      isReady: () =>
        nats.isConnected() &&
        (state === "standby" ||
          (state === "active" && kinds.every((kind) => synced.has(resourceName(kind))))),
      run: (signal) =>
        runBridge(
          {
            cluster,
            ...nats,
            kinds,
            leaseSeconds: options.leaseSeconds,
            replicas: options.replicas,
            times: options.times,
            say,
            published: (event) => {
              const key = `${event.kind.plural} ${event.verb}`
              let counter = counters.get(key)
              if (counter === undefined) {
                counter = Metric.withAttributes(published, {
                  resource: resourceName(event.kind),
                  verb: event.verb
                })
                counters.set(key, counter)
              }
              counter.updateUnsafe(1, context)
              if (event.synthesized) synthesized.updateUnsafe(1, context)
            }
          },
          signal
        )
    }
  })
