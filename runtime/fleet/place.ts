import { JetStreamApiError, type JetStreamClient, type JetStreamManager } from "@nats-io/jetstream"
import { headers, type NatsConnection } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import { PlacementLost } from "../Fleet.ts"
import { type AtomicMessage, mostInBatch, publishAtomic } from "../nats/atomic.ts"
import { deletedAssignmentSeconds } from "../nats/configs.ts"
import {
  assignmentSubject,
  claimSubjects,
  completeSubject,
  drainingSubject,
  movedToHeader
} from "./messages.ts"
import { type FleetAccess, type Plan, planOf } from "./plan.ts"
import type { FleetReader } from "./reader.ts"

export interface PlacingOptions {
  readonly connection: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly reader: FleetReader
}

const wrongLastSequence = [10071, 10164]
const timeoutMillis = 5_000
/** What another host has written is soon read here as well. */
const catchUpMillis = 1_000

/** Places claims in the bucket `assignments`. */
export const natsPlacing = (options: PlacingOptions): FleetAccess => {
  const { js, reader } = options
  const { state } = reader
  const write = (what: string, run: () => Promise<void>): Effect.Effect<void, PlacementLost> =>
    Effect.tryPromise({
      try: async () => {
        const loss = await reader.lossOf(["KV_assignments"])
        if (loss !== undefined) throw new Error(loss)
        await run()
      },
      catch: (cause) => lostBy(0, `${what}: ${cause instanceof Error ? cause.message : String(cause)}`)
    })
  const mark = (subject: string, body: string | undefined) =>
    js.publish(subject, body ?? "", body === undefined ? { headers: deletion() } : {})
  return {
    state,
    place: (places, traceparentOf) =>
      Effect.suspend(() => {
        const plans = planOf(state, places)
        return Effect.flatMap(
          Effect.tryPromise({
            try: () => placeAll(options, plans, traceparentOf),
            catch: (cause) => lostBy(plans.length, cause instanceof Error ? cause.message : String(cause))
          }),
          ({ lost, detail }) => (lost === 0 ? Effect.void : Effect.fail(lostBy(lost, detail)))
        )
      }),
    complete: (node, inventory) =>
      write(`complete ${node}`, async () => {
        await mark(completeSubject(node), JSON.stringify({ inventory }))
        state.declared(node, inventory)
      }),
    draining: (node, draining) =>
      write(`drain ${node}`, async () => {
        await mark(drainingSubject(node), draining ? "true" : undefined)
        state.drained(node, draining)
      })
  }
}

const lostBy = (claims: number, detail: string) => new PlacementLost({ claims, detail })

const deletion = () => {
  const h = headers()
  h.set("KV-Operation", "DEL")
  h.set("Nats-TTL", `${deletedAssignmentSeconds}s`)
  return h
}

interface Placed {
  /** So many claims were not placed. */
  readonly lost: number
  readonly detail: string
}

const placeAll = async (
  options: PlacingOptions,
  plans: ReadonlyArray<Plan>,
  traceparentOf: (claim: string) => string
): Promise<Placed> => {
  const loss = await options.reader.lossOf(["KV_assignments"])
  if (loss !== undefined) throw new Error(loss)
  let lost = 0
  let detail = "others came first"
  for (const part of inBatches(plans)) {
    const placed = await placePart(options, part, traceparentOf)
    lost += placed.lost
    if (placed.lost > 0) detail = placed.detail
  }
  return { lost, detail }
}

/** One batch. When it is refused, the claims that others have placed are left out; who is left is tried in halves. */
const placePart = async (
  options: PlacingOptions,
  plans: ReadonlyArray<Plan>,
  traceparentOf: (claim: string) => string
): Promise<Placed> => {
  const { reader } = options
  try {
    await store(options, plans, traceparentOf)
    return { lost: 0, detail: "" }
  } catch (cause) {
    if (!(cause instanceof JetStreamApiError) || !wrongLastSequence.includes(cause.code)) throw cause
    const present = await options.jsm.streams.info("KV_assignments")
    await reader.lives.reached("KV_assignments", present.state.last_seq, catchUpMillis)
    const mine = plans.filter(({ claim, expected }) => expected === reader.state.lastSequence(claim))
    const lost = plans.length - mine.length
    const sum = (one: Placed, other: Placed): Placed => ({
      lost: one.lost + other.lost,
      detail: cause.message
    })
    let rest: Placed = { lost: 0, detail: cause.message }
    if (lost > 0 && mine.length > 0) rest = await placePart(options, mine, traceparentOf)
    else if (mine.length > 1) {
      const half = Math.ceil(mine.length / 2)
      rest = sum(
        await placePart(options, mine.slice(0, half), traceparentOf),
        await placePart(options, mine.slice(half), traceparentOf)
      )
    } else if (mine.length === 1) {
      const told = forgottenDeletion(reader, mine[0]!, cause.message)
      rest =
        told === undefined
          ? { lost: 1, detail: cause.message }
          : await placePart(options, [told], traceparentOf)
    }
    return sum({ lost, detail: cause.message }, rest)
  }
}

/**
 * A deletion that we remember may be gone from the bucket, since it is kept for an hour. Then the server expects the
 * newest key that is there: the same one that we know.
 */
const forgottenDeletion = ({ state }: FleetReader, plan: Plan, message: string): Plan | undefined => {
  const told = Number(/wrong last sequence: (\d+)/.exec(message)?.[1])
  const live = state.lastLiveSequence(plan.claim)
  return told === live && live < plan.expected ? { ...plan, expected: live } : undefined
}

const store = async (
  { connection, reader }: PlacingOptions,
  plans: ReadonlyArray<Plan>,
  traceparentOf: (claim: string) => string
): Promise<void> => {
  const messages = plans.flatMap((plan) => messagesOf(plan, traceparentOf(plan.claim)))
  const life = reader.life
  let sequence = await publishAtomic(connection, messages, timeoutMillis)
  // Sequences of one life say nothing in the next; there it is read.
  if (life === undefined || reader.life !== life) return
  reader.lives.stored("KV_assignments", sequence + messages.length - 1)
  // What we wrote ourselves is in the view at once; when it comes back, it is passed over.
  for (const { claim, steps } of plans) {
    const traceparent = traceparentOf(claim)
    for (const { node, assignment } of steps) {
      reader.state.assigned(sequence++, node, claim, assignment, traceparent)
    }
  }
}

const messagesOf = ({ claim, expected, steps }: Plan, traceparent: string): ReadonlyArray<AtomicMessage> => {
  const holder = steps[0]?.assignment?.holder
  return steps.map(({ node, assignment }, i) => ({
    subject: assignmentSubject(node, claim),
    body: assignment === undefined ? "" : JSON.stringify(assignment),
    headers: {
      traceparent,
      ...(i > 0
        ? {}
        : {
            "Nats-Expected-Last-Subject-Sequence": String(expected),
            "Nats-Expected-Last-Subject-Sequence-Subject": claimSubjects(claim)
          }),
      ...(assignment === undefined
        ? {
            "KV-Operation": "DEL",
            "Nats-TTL": `${deletedAssignmentSeconds}s`,
            ...(holder === undefined ? {} : { [movedToHeader]: holder })
          }
        : {})
    }
  }))
}

const inBatches = (plans: ReadonlyArray<Plan>): ReadonlyArray<ReadonlyArray<Plan>> => {
  const batches: Array<Array<Plan>> = []
  let room = 0
  for (const plan of plans) {
    if (plan.steps.length > room) {
      batches.push([])
      room = mostInBatch
    }
    batches.at(-1)!.push(plan)
    room -= plan.steps.length
  }
  return batches
}
