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

type Handle = Metric.Metric<number, unknown>

interface Handles {
  readonly received: Handle
  readonly duration: Handle
  readonly lag: Handle
  /** Outcome → its counter */
  readonly outcomes: Map<string, Handle>
}

/** Metrics of the function host. Attributes are made once per function: this is on the path of every event. */
export const hostMetrics = (context: Context.Context<never>): HostMetrics => {
  const handles = new Map<string, Handles>()
  const of = (fn: string): Handles => {
    let made = handles.get(fn)
    if (made === undefined) {
      const attributes = { function: fn }
      made = {
        received: Metric.withAttributes(received, attributes) as Handle,
        duration: Metric.withAttributes(duration, attributes) as unknown as Handle,
        lag: Metric.withAttributes(lagSeconds, attributes) as unknown as Handle,
        outcomes: new Map()
      }
      handles.set(fn, made)
    }
    return made
  }
  return {
    received: (fn) => of(fn).received.updateUnsafe(1, context),
    ended: (fn, outcome, secs) => {
      const { duration: timing, outcomes } = of(fn)
      let counter = outcomes.get(outcome)
      if (counter === undefined) {
        counter = Metric.withAttributes(runs, { function: fn, outcome }) as Handle
        outcomes.set(outcome, counter)
      }
      counter.updateUnsafe(1, context)
      timing.updateUnsafe(secs, context)
    },
    lag: (fn, millis) => of(fn).lag.updateUnsafe(millis / 1000, context)
  }
}
