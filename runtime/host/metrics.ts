import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"

/** 0.5 ms to 16 s: handlers take milliseconds, retries seconds. */
const seconds = Metric.exponentialBoundaries({ start: 0.0005, factor: 2, count: 16 })

const received = Metric.counter("extip_events_received_total", {
  description: "Events of the log that a function was given",
  incremental: true
})
const runs = Metric.counter("extip_runs_total", {
  description: "Runs of a function by outcome",
  incremental: true
})
const duration = Metric.histogram("extip_run_duration_seconds", {
  description: "How long a run of a function took",
  boundaries: seconds
})
const lagSeconds = Metric.histogram("extip_event_lag_seconds", {
  description: "From the bridge's publish to the function's queue",
  boundaries: seconds
})

export interface HostMetrics {
  readonly received: (fn: string) => void
  readonly ended: (fn: string, outcome: string, seconds: number) => void
  readonly lag: (fn: string, millis: number) => void
}

/** Metrics of the function host. Attributes are made once per function: this is on the path of every event. */
export const hostMetrics = (context: Context.Context<never>): HostMetrics => {
  const cache = new Map<string, Metric.Metric<number, unknown>>()
  const of = (metric: Metric.Metric<number, unknown>, name: string, attributes: Record<string, string>) => {
    const key = `${name} ${Object.values(attributes).join(" ")}`
    let made = cache.get(key)
    if (made === undefined) {
      made = Metric.withAttributes(metric, attributes)
      cache.set(key, made)
    }
    return made
  }
  return {
    received: (fn) => of(received as never, "received", { function: fn }).updateUnsafe(1, context),
    ended: (fn, outcome, secs) => {
      of(runs as never, "runs", { function: fn, outcome }).updateUnsafe(1, context)
      of(duration as never, "duration", { function: fn }).updateUnsafe(secs, context)
    },
    lag: (fn, millis) => of(lagSeconds as never, "lag", { function: fn }).updateUnsafe(millis / 1000, context)
  }
}
