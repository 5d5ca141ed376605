import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Reporter } from "./reporter.ts"
import type { NodeRuntime } from "./runtime.ts"
import type { NodeNews } from "./surroundings.ts"

const held = Metric.gauge("extip_addresses_held", { description: "External addresses on this node's links" })
const standing = Metric.gauge("extip_addresses_stood_by", {
  description: "External addresses that this node would take over"
})
const seen = Metric.gauge("extip_addresses_seen", {
  description: "Those of them whose holder has been heard: this node would take them over just now"
})
const unsent = Metric.gauge("extip_reports_waiting", {
  description: "Reports of this node that NATS has not stored yet"
})
const whole = Metric.gauge("extip_slice_whole", {
  description: "1 while NATS is there and this node's assignments are known to be whole"
})
const runs = Metric.counter("extip_runs_total", {
  description: "Runs of a function by outcome",
  incremental: true
})
const happened = Metric.counter("extip_node_events_total", {
  description:
    "What happened on the wire: took, yielded, disputed (a foreign machine has an address), putback, stalled, deaf, …",
  incremental: true
})
const taken = Metric.counter("extip_addresses_taken_total", {
  description: "Addresses taken over because their holder was silent",
  incremental: true
})

export interface NodeMetrics {
  readonly happened: (news: NodeNews) => void
  readonly ended: (functionName: string, outcome: string) => void
  readonly observe: (runtime: NodeRuntime, reporter: Reporter) => void
}

/** The metrics of a node's runtime. */
export const nodeMetrics = (context: Context.Context<never>): NodeMetrics => ({
  happened: (news) => {
    Metric.withAttributes(happened, { what: news._tag.toLowerCase() }).updateUnsafe(1, context)
    if (news._tag === "Took") taken.updateUnsafe(news.addresses.length, context)
  },
  ended: (functionName, outcome) =>
    Metric.withAttributes(runs, { function: functionName, outcome }).updateUnsafe(1, context),
  observe: (runtime, reporter) => {
    held.updateUnsafe(runtime.holder.table.size, context)
    standing.updateUnsafe(runtime.standbys.size, context)
    seen.updateUnsafe(runtime.standbys.seen, context)
    unsent.updateUnsafe(reporter.waiting, context)
    whole.updateUnsafe(runtime.slice.isWhole ? 1 : 0, context)
  }
})
