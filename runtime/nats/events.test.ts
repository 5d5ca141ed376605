import { describe, expect, it } from "@effect/vitest"
import type { RawObject } from "../kube/api.ts"
import { logMaxAgeSeconds } from "./configs.ts"
import {
  changedBy,
  changedSince,
  eventBody,
  eventHeaders,
  eventId,
  fieldPrints,
  type KubeEvent
} from "./events.ts"

const kind = { group: "apps.example", version: "v1", kind: "Thing", plural: "things", namespaced: true }
const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
const time = "2026-01-02T03:04:05.678Z"

const entry = (manager: string, at: string, operation = "Update") => ({ manager, operation, time: at })
const thing = (managedFields?: RawObject["metadata"]["managedFields"]): RawObject => ({
  kind: "Thing",
  metadata: {
    name: "web",
    namespace: "default",
    uid: "u-1",
    resourceVersion: "7",
    generation: 3,
    ...(managedFields === undefined ? {} : { managedFields })
  },
  spec: { replicas: 1 }
})
const event = (verb: KubeEvent["verb"], object = thing(), synthesized = false): KubeEvent => ({
  kind,
  ref: { namespace: "default", name: "web" },
  verb,
  object,
  synthesized
})
const headersOf = (of: KubeEvent) =>
  Object.fromEntries([...eventHeaders(of, "https://cluster", time, traceparent)].map(([k, [v]]) => [k, v]))

describe("an event", () => {
  it("is a CloudEvent with the trace context", () => {
    expect(headersOf(event("modified"))).toEqual({
      "ce-specversion": "1.0",
      "ce-id": "u-1.7",
      "ce-type": "ext.ipcontroller.kube.thing.modified",
      "ce-source": "https://cluster",
      "ce-subject": "things.apps.example/default/web",
      "ce-time": time,
      "ce-uid": "u-1",
      "ce-resourceversion": "7",
      "ce-generation": "3",
      "content-type": "application/json",
      traceparent
    })
  })

  it("says who made the change", () => {
    const by = { manager: "kubectl-annotate", operation: "Update", at: "2026-01-02T03:04:05Z" }
    expect(headersOf({ ...event("added"), by })).toMatchObject({
      "ce-manager": "kubectl-annotate",
      "ce-operation": "Update",
      "ce-changedat": "2026-01-02T03:04:05Z"
    })
  })

  it("of a deletion drops the key from the bucket, lives as long as the log, and names nobody", () => {
    const by = { manager: "kubectl", operation: "Update", at: time }
    const headers = headersOf({ ...event("deleted"), by })
    expect(headers).toMatchObject({ "KV-Operation": "DEL", "Nats-TTL": `${logMaxAgeSeconds}s` })
    expect(headers).not.toHaveProperty("ce-manager")
    expect(headers).not.toHaveProperty("ce-synthesized")
  })

  it("of a deletion that nobody has seen says so", () => {
    expect(headersOf(event("deleted", thing(), true))).toMatchObject({ "ce-synthesized": "true" })
  })

  it("has an id for each state of the object, and one for its end", () => {
    expect(eventId("added", thing())).toBe("u-1.7")
    expect(eventId("modified", thing())).toBe("u-1.7")
    expect(eventId("deleted", thing())).toBe("u-1.deleted")
  })

  it("carries the object without managedFields", () => {
    expect(JSON.parse(eventBody(thing([entry("kubectl", time)])))).toEqual(thing())
    expect(JSON.parse(eventBody(thing()))).toEqual(thing())
  })
})

describe("who changed an object", () => {
  it("is the manager of the newest entry, wherever it stands", () => {
    const object = thing([
      entry("new", "2026-01-02T03:04:06Z", "Apply"),
      entry("old", "2026-01-02T03:04:05Z")
    ])
    expect(changedBy(object)).toEqual({ manager: "new", operation: "Apply", at: "2026-01-02T03:04:06Z" })
  })

  const at = "2026-01-02T03:04:05Z"
  const owner = (manager: string, ...owned: ReadonlyArray<string>) => ({
    ...entry(manager, at),
    fieldsV1: Object.fromEntries(owned.map((field) => [`f:${field}`, {}]))
  })
  const ours = { ...owner("extip-allocate", "externalIPs"), time: "2026-01-02T03:04:06Z" }
  const hours = Date.parse("2026-01-02T15:00:00Z")
  const soon = Date.parse(at) + 1_500
  type Entries = ReadonlyArray<ReturnType<typeof owner>>
  const cases: ReadonlyArray<readonly [string, Entries, Entries, number, string | undefined]> = [
    [
      "the one whose entry is new, of several within one second",
      [owner("zoe")],
      [owner("amy"), owner("zoe")],
      hours,
      "amy"
    ],
    [
      "not the owner of what was removed",
      [owner("alice", "a", "b"), ours],
      [owner("alice", "a"), ours],
      hours,
      undefined
    ],
    [
      "nobody when what was removed was all that its owner had",
      [owner("alice", "a"), ours],
      [ours],
      hours,
      undefined
    ],
    [
      "who sets something and removes what another has",
      [owner("alice", "a", "b")],
      [owner("alice", "a"), ours],
      hours,
      "extip-allocate"
    ],
    [
      "who has changed it already within this second",
      [owner("amy", "a")],
      [owner("amy", "a", "b")],
      soon,
      "amy"
    ],
    ["nobody where nothing but other things have changed", [ours], [ours], soon, undefined],
    [
      "the one of another subresource, of one manager",
      [owner("amy", "a")],
      [owner("amy", "a"), { ...owner("amy", "s"), subresource: "status", operation: "Apply" } as never],
      hours,
      "amy"
    ]
  ]
  it.each(cases)("is %s", (_, before, after, now, want) => {
    const then = fieldPrints(thing(before))
    const object = thing(after)
    expect(changedBy(object, fieldPrints(object), then, now)?.manager).toBe(want)
  })

  it("is told of a change by its time where nothing is known of the former state", () => {
    const object = thing([owner("alice", "a"), ours])
    expect(changedSince(object, Date.parse(ours.time))?.manager).toBe("extip-allocate")
    expect(changedSince(object, hours)).toBeUndefined()
  })

  it("is nobody where there are no managedFields", () => {
    expect(changedBy(thing())).toBeUndefined()
    expect(changedBy(thing([]))).toBeUndefined()
  })
})
