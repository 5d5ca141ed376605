import { describe, expect, it } from "@effect/vitest"
import type { RawObject } from "../kube/api.ts"
import { logMaxAgeSeconds } from "./configs.ts"
import { changedBy, eventBody, eventHeaders, eventId, fieldPrints, type KubeEvent } from "./events.ts"

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
    const object = thing([entry("kubectl-annotate", "2026-01-02T03:04:05Z")])
    expect(headersOf(event("added", object))).toMatchObject({
      "ce-manager": "kubectl-annotate",
      "ce-operation": "Update",
      "ce-changedat": "2026-01-02T03:04:05Z"
    })
  })

  it("of a deletion drops the key from the bucket, lives as long as the log, and names nobody", () => {
    const headers = headersOf(event("deleted", thing([entry("kubectl", time)])))
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

  it("is the one whose entry is not as it was, of several within one second", () => {
    const at = "2026-01-02T03:04:05Z"
    const before = thing([entry("zoe", at)])
    const after = thing([entry("amy", at), entry("zoe", at)])
    expect(changedBy(after)?.manager).toBe("zoe")
    expect(changedBy(after, fieldPrints(after), fieldPrints(before))?.manager).toBe("amy")
  })

  it("is nobody where there are no managedFields", () => {
    expect(changedBy(thing())).toBeUndefined()
    expect(changedBy(thing([]))).toBeUndefined()
  })
})
