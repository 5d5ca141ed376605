import { describe, expect, it } from "@effect/vitest"
import { JetStreamApiError } from "@nats-io/jetstream"
import { errors, headers, type MsgHdrs } from "@nats-io/transport-node"
import type { RawObject } from "../kube/api.ts"
import type { KubeEvent } from "../nats/events.ts"
import type { Known, KnownStates } from "./known.ts"
import { ClusterWentBack, Deposed, isOutdated, Publisher, type Seen } from "./publisher.ts"

const kind = { group: "", version: "v1", kind: "Thing", plural: "things", namespaced: true }
const ref = { namespace: "a", name: "b" }
const key = "core.things.a.b"

const object = (uid: string, resourceVersion: string): RawObject => ({
  metadata: { ...ref, uid, resourceVersion }
})
const seen = (uid: string, version: string): Seen => ({
  kind,
  ref,
  object: object(uid, version),
  isGone: false,
  synthesized: false
})
const gone = (uid: string, version: string, synthesized = false): Seen => ({
  ...seen(uid, version),
  isGone: true,
  synthesized
})
const logged = (uid: string, resourceVersion: string, deleted = false): Known => ({
  uid,
  resourceVersion,
  sequence: 1,
  ref,
  deleted
})

/** A log of one object that refuses what does not expect its last event, as the server does. */
const newLog = () => {
  const stored: Array<{ readonly subject: string; readonly headers: MsgHdrs }> = []
  const published: Array<string> = []
  const unpublishable: Array<string> = []
  const delayed: Array<string> = []
  const bodies: Array<string> = []
  const log = { stored, published, isDeposed: false, losesAcknowledgements: 0, isFullFor: 0 }
  const publisher = new Publisher({
    stream: {
      publish: async (subject, body, message) => {
        await Promise.resolve()
        // As the client does.
        if (body.length > 1_000) throw new errors.InvalidArgumentError("'payload' max_payload size exceeded")
        if (log.isFullFor-- > 0) {
          throw new JetStreamApiError({ code: 503, err_code: 10023, description: "insufficient resources" })
        }
        if (Number(message.get("Nats-Expected-Last-Subject-Sequence")) !== stored.length) {
          throw new JetStreamApiError({ code: 400, err_code: 10071, description: "wrong last sequence" })
        }
        // The publisher may use its headers again; the log keeps what it was given.
        const kept = headers()
        for (const [name, values] of message) kept.set(name, values[0]!)
        stored.push({ subject, headers: kept })
        bodies.push(body)
        if (log.losesAcknowledgements-- > 0) throw new Error("no answer")
        return stored.length
      }
    },
    jsm: {
      direct: {
        getMessage: async () => {
          const last = stored.at(-1)
          return last === undefined ? null : { seq: stored.length, header: last.headers }
        }
      }
    } as never,
    source: "cluster",
    incarnation: { created: "now", firstSequence: 0, lastSequence: 0 },
    signal: new AbortController().signal,
    mayPublish: () => undefined,
    confirm: async () => {
      if (log.isDeposed) throw new Deposed("another one is active")
    },
    published: (event) => published.push(`${event.verb} ${event.object.metadata.uid}`),
    unpublishable: (event, why) => unpublishable.push(`${event.verb} ${event.object.metadata.uid}: ${why}`),
    delayed: (event, why) => delayed.push(`${event.verb} ${event.object.metadata.uid}: ${why}`)
  })
  const events = () => stored.map((one) => `${one.subject.split(".").at(-1)} ${one.headers.get("ce-id")}`)
  return { log, publisher, events, published, unpublishable, delayed, bodies }
}

describe("an event is outdated", () => {
  const cases: ReadonlyArray<readonly [string, KubeEvent["verb"], string, string, Known, boolean]> = [
    ["by the same state", "modified", "u", "5", logged("u", "5"), true],
    ["by a newer state", "modified", "u", "5", logged("u", "6"), true],
    ["not by an older state", "modified", "u", "5", logged("u", "4"), false],
    ["not by an older state with fewer digits", "modified", "u", "10", logged("u", "9"), false],
    ["by the deletion of its object", "modified", "u", "5", logged("u", "6", true), true],
    ["by a successor of the same name", "modified", "u", "5", logged("v", "6"), true],
    ["not by a predecessor of the same name", "added", "u", "5", logged("t", "4"), false],
    ["not by a predecessor's deletion", "added", "u", "5", logged("t", "4", true), false],
    ["not as a deletion that was found by comparing", "deleted", "u", "5", logged("u", "5"), false],
    ["as a deletion that is there already", "deleted", "u", "6", logged("u", "5", true), true],
    ["as a deletion before the successor", "deleted", "u", "5", logged("v", "6"), true]
  ]
  it.each(cases)("%s", (_, verb, uid, version, last, want) => {
    expect(isOutdated({ verb, object: object(uid, version) }, last)).toBe(want)
  })
})

describe("the publisher", () => {
  it("says added, modified and deleted by what is in the log then, not by what was when it was asked", async () => {
    const { publisher, events } = newLog()
    const known: KnownStates = new Map()
    await Promise.all([
      publisher.publish(seen("u", "1"), known),
      publisher.publish(seen("u", "2"), known),
      publisher.publish(gone("u", "3"), known),
      publisher.publish(seen("v", "4"), known)
    ])
    expect(events()).toEqual(["added u.1", "modified u.2", "deleted u.deleted", "added v.4"])
    expect(publisher.last).toEqual({ sequence: 4, id: "v.4" })
  })

  it("recognises its own event when the acknowledgement was lost", async () => {
    const { log, publisher, events, published } = newLog()
    const known: KnownStates = new Map()
    log.losesAcknowledgements = 1
    await publisher.publish(seen("u", "1"), known)
    await publisher.publish(seen("u", "2"), known)
    expect(events()).toEqual(["added u.1", "modified u.2"])
    expect(published).toEqual(["added u", "modified u"])
  })

  it("names nobody for what was only removed, though the acknowledgement of what was before was lost", async () => {
    const { log, publisher } = newLog()
    const known: KnownStates = new Map()
    const owned = (uid: string, version: string, ...fields: ReadonlyArray<string>): Seen => {
      const alice = { manager: "alice", operation: "Update", time: "2026-01-02T09:05:00Z", fieldsV1: fields }
      const { metadata } = object(uid, version)
      return { ...seen(uid, version), object: { metadata: { ...metadata, managedFields: [alice] } } }
    }
    log.losesAcknowledgements = 1
    await publisher.publish(owned("u", "1", "a", "b"), known)
    await publisher.publish(owned("u", "2", "a"), known)
    // A successor's entries are new, even where they are the same.
    await publisher.publish(owned("v", "3", "a"), known)
    expect(log.stored.map((one) => one.headers.get("ce-manager"))).toEqual(["alice", "", "alice"])
  })

  it("names who changes first what it has found in the log, unless something was only removed", async () => {
    const named = async (time: string, listed: Partial<Seen> = {}) => {
      const { log, publisher } = newLog()
      const managedFields = [{ manager: "alice", operation: "Update", time }]
      const changed = { metadata: { ...object("u", "2").metadata, managedFields } }
      const known = new Map([[key, { ...logged("u", "1"), sequence: 0 }]])
      await publisher.publish({ ...seen("u", "2"), object: changed, ...listed }, known)
      return log.stored[0]?.headers.get("ce-manager")
    }
    const past = "2026-01-02T09:05:00Z"
    expect(await named(past)).toBe("")
    expect(await named(new Date().toISOString())).toBe("alice")
    // It may have been changed while no bridge was there.
    expect(await named(past, { listedAt: "2" })).toBe("alice")
  })

  it("takes over what another bridge has published, and goes on from there", async () => {
    const { publisher, events } = newLog()
    await publisher.publish(seen("u", "1"), new Map())
    const stale: KnownStates = new Map()
    await publisher.publish(seen("u", "1"), stale)
    await publisher.publish(seen("u", "2"), stale)
    expect(events()).toEqual(["added u.1", "modified u.2"])
    expect(stale.get(key)).toMatchObject({ uid: "u", resourceVersion: "2", sequence: 2 })
  })

  it("puts nothing older over what another bridge has published", async () => {
    const { publisher, events } = newLog()
    const known: KnownStates = new Map()
    await publisher.publish(seen("u", "1"), known)
    const stale: KnownStates = new Map(known)
    await publisher.publish(gone("u", "5"), known)
    await publisher.publish(seen("v", "7"), known)
    const before = events()
    await publisher.publish(seen("u", "3"), new Map(stale))
    await publisher.publish(gone("u", "1", true), new Map(stale))
    await publisher.publish(gone("u", "5"), new Map(stale))
    await publisher.publish(seen("v", "6"), new Map(stale))
    expect(events()).toEqual(before)
  })

  it("takes an object in a list for a cluster that went back when its deletion is in the log, and is older", async () => {
    const { publisher, events } = newLog()
    const known: KnownStates = new Map()
    await publisher.publish(seen("u", "1"), known)
    await publisher.publish(gone("u", "5"), known)
    const before = events()
    const listed = (listedAt: string) => publisher.publish({ ...seen("u", "3"), listedAt }, new Map())
    // Made before the deletion.
    await listed("4")
    await expect(listed("5")).rejects.toThrow("things a/b is there at 5, it was gone at 5")
    await expect(listed("10")).rejects.toThrow(ClusterWentBack)
    // A late event of a watch tells nothing.
    await publisher.publish(seen("u", "3"), new Map())
    expect(events()).toEqual(before)
  })

  it("knows an object whose events have gone from the log", async () => {
    const { publisher, events } = newLog()
    const known: KnownStates = new Map([[key, { ...logged("u", "1"), sequence: 42 }]])
    await publisher.publish(seen("u", "2"), known)
    expect(events()).toEqual(["modified u.2"])
  })

  it("asks whether it is still the active one when it is refused, and publishes no more when it is not", async () => {
    const { log, publisher, events } = newLog()
    await publisher.publish(seen("u", "1"), new Map())
    log.isDeposed = true
    await expect(publisher.publish(seen("u", "2"), new Map())).rejects.toThrow("another one is active")
    expect(events()).toEqual(["added u.1"])
  })

  it("tries on while the log takes nothing, and says so after a while", async () => {
    const { log, publisher, events, delayed } = newLog()
    log.isFullFor = 7
    await publisher.publish(seen("u", "1"), new Map())
    expect(events()).toEqual(["added u.1"])
    expect(delayed).toEqual(Array.from({ length: 2 }, () => expect.stringContaining("added u: ")))
    expect(delayed[0]).toContain("insufficient resources")
  })

  it("says what no message can hold, instead of trying for ever, and goes on", async () => {
    const { publisher, events, unpublishable, bodies } = newLog()
    const known: KnownStates = new Map()
    const large = (one: Seen): Seen => ({ ...one, object: { ...one.object, data: "x".repeat(2_000) } })
    await publisher.publish(seen("u", "1"), known)
    await publisher.publish(large(seen("u", "2")), known)
    expect(unpublishable).toEqual([expect.stringMatching(/^modified u: .*max_payload/)])
    await publisher.publish(seen("u", "3"), known)
    // That it is gone is said without what it was.
    await publisher.publish(large(gone("u", "4")), known)
    expect(events()).toEqual(["added u.1", "modified u.3", "deleted u.deleted"])
    expect(JSON.parse(bodies.at(-1)!)).toEqual({ metadata: { ...ref, uid: "u", resourceVersion: "4" } })
    const long = { namespace: "a", name: "n".repeat(4_000) }
    await publisher.publish({ ...seen("v", "5"), ref: long }, known)
    expect(unpublishable.at(-1)).toBe("added v: its name is 4000 characters long")
    // Names of some kinds may have a line break.
    await publisher.publish({ ...seen("w", "6"), ref: { namespace: "a", name: "one\ntwo" } }, new Map())
    expect(unpublishable).toHaveLength(2)
  })
})
