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

const pending = Metric.gauge("extip_consumer_pending", {
  description: "Events of the log that a function has not been given yet: its lag"
})
const retrying = Metric.gauge("extip_retrying", {
  description: "Objects that a function will try again on this host"
})
const reaction = Metric.histogram("extip_change_to_done_seconds", {
  description:
    "From a change to the end of the run that did something about it; for allocate-on-annotate: to the published address",
  boundaries: seconds
})
const parked = Metric.counter("extip_parked_total", {
  description: "Events that a function gave up on; see `extip parked list`",
  incremental: true
})
const retries = Metric.counter("extip_retries_total", {
  description: "Runs that have to be repeated",
  incremental: true
})

export interface HostMetrics {
  readonly received: (fn: string) => void
  readonly ended: (fn: string, outcome: string, seconds: number) => void
  readonly lag: (fn: string, millis: number) => void
  readonly reacted: (fn: string, millis: number) => void
  readonly again: (fn: string) => void
  readonly parked: (fn: string) => void
  readonly looked: (fn: string, seen: { readonly pending: number; readonly retrying: number }) => void
}

type Handle = Metric.Metric<number, unknown>

interface Handles {
  readonly received: Handle
  readonly duration: Handle
  readonly lag: Handle
  readonly reaction: Handle
  readonly retries: Handle
  readonly parked: Handle
  readonly pending: Handle
  readonly retrying: Handle
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
        reaction: Metric.withAttributes(reaction, attributes) as unknown as Handle,
        retries: Metric.withAttributes(retries, attributes) as Handle,
        parked: Metric.withAttributes(parked, attributes) as Handle,
        pending: Metric.withAttributes(pending, attributes) as unknown as Handle,
        retrying: Metric.withAttributes(retrying, attributes) as unknown as Handle,
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
    lag: (fn, millis) => of(fn).lag.updateUnsafe(millis / 1000, context),
    reacted: (fn, millis) => of(fn).reaction.updateUnsafe(millis / 1000, context),
    again: (fn) => of(fn).retries.updateUnsafe(1, context),
    parked: (fn) => of(fn).parked.updateUnsafe(1, context),
    looked: (fn, seen) => {
      const made = of(fn)
      made.pending.updateUnsafe(seen.pending, context)
      made.retrying.updateUnsafe(seen.retrying, context)
      // A counter is shown from the first update on, and one that is not there cannot be alerted on.
      made.retries.updateUnsafe(0, context)
      made.parked.updateUnsafe(0, context)
    }
  }
}
