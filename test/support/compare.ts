import type { JetStreamClient, JsMsg } from "@nats-io/jetstream"
import { assert } from "vitest"
import type { KindId } from "../../runtime/Kind.ts"
import { objectToken, parseSubject, resourceSubjects, resourceToken } from "../../runtime/nats/names.ts"
import { readAll } from "../../runtime/nats/readAll.ts"
import type { Verb } from "../../runtime/Trigger.ts"
import type { Cluster } from "./cluster.ts"
import { until } from "./until.ts"

/** An event as the log has it. */
export interface Logged {
  readonly sequence: number
  /** The key in the bucket. */
  readonly key: string
  readonly verb: Verb
  readonly id: string
  readonly uid: string
  readonly resourceVersion: string
  readonly synthesized: boolean
}

const headerOf = (message: JsMsg, name: string) => message.headers?.get(name) ?? ""

/** Everything that the log has of these kinds, in its order. */
export const readLog = async (js: JetStreamClient, kinds: ReadonlyArray<KindId>): Promise<Array<Logged>> => {
  const logged: Array<Logged> = []
  const filters = kinds.map((kind) => resourceSubjects(kind))
  await readAll(js, { stream: "KUBE", filters, headersOnly: true }, (message) => {
    logged.push({
      sequence: message.seq,
      key: message.subject.split(".").slice(1, -1).join("."),
      verb: parseSubject(message.subject)!.verb,
      id: headerOf(message, "Nats-Msg-Id"),
      uid: headerOf(message, "ce-uid"),
      resourceVersion: headerOf(message, "ce-resourceversion"),
      synthesized: headerOf(message, "ce-synthesized") === "true"
    })
  })
  return logged
}

/** Key → the object as JSON without `managedFields`, fields in a fixed order. */
type States = Map<string, string>

const canonical = (value: unknown): unknown =>
  Array.isArray(value)
    ? value.map(canonical)
    : typeof value === "object" && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([name]) => name !== "managedFields")
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([name, inner]) => [name, canonical(inner)])
        )
      : value

const readCluster = async (cluster: Cluster, kinds: ReadonlyArray<KindId>): Promise<States> => {
  const states: States = new Map()
  for (const kind of kinds) {
    const apiVersion = kind.group === "" ? kind.version : `${kind.group}/${kind.version}`
    for (const object of await cluster.list(kind)) {
      const { namespace = "", name } = object.metadata
      const whole = canonical({ ...object, apiVersion, kind: kind.kind })
      states.set(objectToken(kind, { namespace, name }), JSON.stringify(whole))
    }
  }
  return states
}

const readBucket = async (js: JetStreamClient, kinds: ReadonlyArray<KindId>): Promise<States> => {
  const states: States = new Map()
  const filters = kinds.map((kind) => `$KV.kube.${resourceToken(kind)}.>`)
  await readAll(js, { stream: "KV_kube", filters, lastPerSubject: true }, (message) => {
    if (headerOf(message, "KV-Operation") !== "") return
    const key = message.subject.slice("$KV.kube.".length)
    const body = message.string()
    if (body.includes('"managedFields"')) throw new Error(`${key} has managedFields`)
    states.set(key, JSON.stringify(canonical(JSON.parse(body))))
  })
  return states
}

const differences = (cluster: States, bucket: States): ReadonlyArray<string> => [
  ...[...cluster].flatMap(([key, state]) => {
    const found = bucket.get(key)
    if (found === state) return []
    return [found === undefined ? `${key}: not in the bucket` : `${key}: ${found}, and not ${state}`]
  }),
  ...[...bucket.keys()].filter((key) => !cluster.has(key)).map((key) => `${key}: only in the bucket`)
]

/** What is wrong with the order of the log: events of one object must tell the life of one object after the other. */
export const disorder = (log: ReadonlyArray<Logged>): ReadonlyArray<string> => {
  const wrong: Array<string> = []
  const ids = new Set<string>()
  // Key → its last event, as long as that is no deletion.
  const living = new Map<string, Logged>()
  for (const event of log) {
    const { key, verb, id, uid, resourceVersion, synthesized } = event
    const before = living.get(key)
    const say = (what: string) => wrong.push(`${event.sequence} ${key} ${verb} ${id}: ${what}`)
    if (ids.has(id)) say("is there twice")
    ids.add(id)
    if (id !== (verb === "deleted" ? `${uid}.deleted` : `${uid}.${resourceVersion}`)) say("is a wrong id")
    if (verb === "added" && before !== undefined) say(`is added, and ${before.id} was there`)
    if (verb !== "added") {
      if (before === undefined) say("was never added")
      else if (before.uid !== uid) say(`is another one than ${before.id}`)
      else {
        const step = Number(resourceVersion) - Number(before.resourceVersion)
        if (step < 0 || (step === 0 && !synthesized)) say(`comes after ${before.id}`)
      }
    }
    if (verb === "deleted") living.delete(key)
    else living.set(key, event)
  }
  return wrong
}

export interface Compared {
  readonly cluster: Cluster
  readonly js: JetStreamClient
  readonly kinds: ReadonlyArray<KindId>
  /** How long the bridge may take to catch up. */
  readonly seconds?: number
  /** Ids of events that must be in the log. */
  readonly wrote?: Iterable<string>
}

/**
 * Waits until the bucket `kube` holds exactly the API server's objects, then looks at the log: each object's events
 * are in order, none is there twice, and every one that was asked for is there. Answers with the log.
 */
export const agrees = async (what: Compared): Promise<ReadonlyArray<Logged>> => {
  let last: ReadonlyArray<string> = []
  await until(
    "the bucket kube to hold the API server's objects",
    async () => {
      const found = await readCluster(what.cluster, what.kinds)
      last = differences(found, await readBucket(what.js, what.kinds))
      return last.length === 0
    },
    { seconds: what.seconds ?? 20, last: () => ({ count: last.length, first: last.slice(0, 3) }) }
  )
  const log = await readLog(what.js, what.kinds)
  assert.deepStrictEqual(disorder(log), [])
  const there = new Set(log.map(({ id }) => id))
  const lost = [...(what.wrote ?? [])].filter((id) => !there.has(id))
  assert.deepStrictEqual(lost, [], "events that are not in the log")
  return log
}
