import {
  AckPolicy,
  type ConsumerInfo,
  type ConsumerMessages,
  DeliverPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  type JsMsg
} from "@nats-io/jetstream"
import { nanos } from "@nats-io/transport-node"
import type { FunctionDefinition } from "../Function.ts"
import { resourceSubjects, resourceToken, tickSubject, wakeSubjects } from "../nats/names.ts"
import type { Hydrated } from "./reader.ts"

/** After so long without a sign of life an event is given to another host. Longer work says that it goes on. */
export const ackWaitMillis = 5_000
/** A pinned host that asks for nothing during this time loses its place. */
const pinMillis = 5_000
/** Events that may be held at once: what is being retried must not keep others out. */
const maxHeld = 50_000

const pinGroup = "host"

/** Up to which sequence of the log somebody has woken the function for everything that was in the view. */
export const wokenKey = "extip.ipcontroller.ext/woken"
/** The life of the log that the consumer's first sequence is meant for. */
const lifeKey = "extip.ipcontroller.ext/log-created"
const consumerNotFound = 10014

/** The subjects of the log that wake a function. */
export const subjectsOf = (fn: FunctionDefinition<any>): ReadonlyArray<string> => {
  const subjects = new Set([wakeSubjects(fn.name)])
  for (const { source } of fn.on) {
    if (source._tag === "Fleet") continue
    if (source._tag === "Timer") subjects.add(tickSubject(fn.name))
    else if (source.verbs.length === 3) subjects.add(resourceSubjects(source.kind))
    else for (const verb of source.verbs) subjects.add(resourceSubjects(source.kind, verb))
  }
  // A subject that another one contains may not stand beside it.
  return [...subjects].filter(
    (subject) => ![...subjects].some((other) => other !== subject && contains(other, subject))
  )
}

const contains = (wide: string, narrow: string): boolean =>
  wide.endsWith(".>") && narrow.startsWith(wide.slice(0, -1))

export interface EnsuredConsumer {
  /** Nobody has yet woken the function for everything that is in the view. */
  readonly wakeAll: boolean
}

const find = async (jsm: JetStreamManager, name: string): Promise<ConsumerInfo | undefined> => {
  try {
    return await jsm.consumers.info("KUBE", name)
  } catch (cause) {
    if (cause instanceof JetStreamApiError && cause.code === consumerNotFound) return undefined
    throw cause
  }
}

/**
 * Makes the function's durable consumer, or takes the one that is there. A new one begins behind what the view holds;
 * what is in the view is then woken once. So is everything when events have aged out of the log unseen, or when the log
 * went back in time: what came since was looked at with a view of before.
 *
 * @throws when the log is another one by now: the view's sequence says nothing about that.
 */
export const ensureConsumer = async (
  jsm: JetStreamManager,
  fn: FunctionDefinition<any>,
  view: Pick<Hydrated, "created" | "sequence" | "newest" | "wentBack">
): Promise<EnsuredConsumer> => {
  const subjects = subjectsOf(fn)
  const filter = { filter_subjects: [...subjects] }
  let found = await find(jsm, fn.name)
  // Only now: the consumer may not seem to be ahead of a log that has grown meanwhile.
  const { created, state } = await jsm.streams.info("KUBE")
  if (created !== view.created) throw new Error("the log is another one now")
  if (
    found !== undefined &&
    (found.config.metadata?.[lifeKey] !== created || found.delivered.stream_seq > state.last_seq)
  ) {
    // Made for the log before this one, in the moment of its end, or for what the log was before it went back in time:
    // it would wait for a sequence far ahead.
    await jsm.consumers.delete("KUBE", fn.name)
    found = undefined
  }
  if (found === undefined) {
    await jsm.consumers.add("KUBE", {
      durable_name: fn.name,
      description: `events for the function ${fn.name}`,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ackWaitMillis),
      max_deliver: -1,
      max_ack_pending: maxHeld,
      deliver_policy: DeliverPolicy.StartSequence,
      opt_start_seq: view.sequence + 1,
      // What an object looks like is in the view.
      headers_only: true,
      priority_groups: [pinGroup],
      priority_policy: "pinned_client",
      priority_timeout: nanos(pinMillis),
      metadata: { [lifeKey]: created },
      ...filter
    } as never)
    return { wakeAll: true }
  }
  const filters = found.config.filter_subjects ?? [found.config.filter_subject ?? ""]
  if (filters.toSorted().join() !== subjects.toSorted().join()) {
    await jsm.consumers.update("KUBE", fn.name, { ...filter, metadata: { [lifeKey]: created } } as never)
    return { wakeAll: true }
  }
  const woken = found.config.metadata?.[wokenKey]
  const seen = Math.max(found.delivered.stream_seq, Number(woken ?? 0))
  /** It has aged out of the log, and the function was neither given it nor woken for it. */
  const isLost = (sequence: number) => sequence > seen && sequence < state.first_seq
  const missed =
    found.num_pending > 0
      ? found.delivered.stream_seq + 1 < state.first_seq
      : // Nothing is to come. For a function with little to do, `first_seq` is past what it was given last in any case.
        followed(fn).some((resource) => isLost(view.newest.get(resource) ?? 0))
  return { wakeAll: missed || view.wentBack || woken === undefined }
}

/** The resources of which the function is given every new state. */
const followed = (fn: FunctionDefinition<any>): ReadonlyArray<string> =>
  fn.on.flatMap(({ source }) =>
    source._tag === "Events" && source.verbs.includes("added") && source.verbs.includes("modified")
      ? [resourceToken(source.kind)]
      : []
  )

/** Everything in the view has been woken once: the next host need not. */
export const markWoken = async (
  jsm: JetStreamManager,
  name: string,
  { created, sequence }: Pick<Hydrated, "created" | "sequence">
): Promise<void> => {
  const metadata = { [lifeKey]: created, [wokenKey]: String(sequence) }
  await jsm.consumers.update("KUBE", name, { metadata } as never)
}

/** Begins to receive. One host at a time is given the function's events: the one that the server has pinned. */
export const consume = async (
  js: JetStreamClient,
  name: string,
  callback: (message: JsMsg) => void
): Promise<ConsumerMessages> => {
  const consumer = await js.consumers.get("KUBE", name)
  return await consumer.consume({
    max_messages: 1_000,
    group: pinGroup,
    // The place is kept by asking anew, and at rest that is done only when this is over: well within `pinMillis`.
    expires: 2_000,
    idle_heartbeat: 1_000,
    abort_on_missing_resource: true,
    callback
  } as never)
}

/** As the server tells it; the client's type does not have it yet. */
interface PinnedInfo extends ConsumerInfo {
  readonly priority_groups?: ReadonlyArray<{ readonly group: string; readonly pinned_client_id?: string }>
}

/** Gives up the place of the active host, so that another one need not wait for its end; nothing if it is not ours. */
export const unpin = async (jsm: JetStreamManager, name: string, pin: string): Promise<void> => {
  const found: PinnedInfo | undefined = await find(jsm, name)
  const groups = found?.priority_groups ?? []
  if (groups.some(({ group, pinned_client_id }) => group === pinGroup && pinned_client_id === pin)) {
    await jsm.consumers.unpin("KUBE", name, pinGroup)
  }
}
