import * as Effect from "effect/Effect"
import { afterEach, beforeEach, expect, it, vi } from "vitest"
import type { EventNote } from "../Kube.ts"
import { Forbidden, Invalid, type KubeFailure, Unavailable } from "../KubeFailure.ts"
import { MemoryApi } from "../kube/memory.ts"
import { Notes } from "./notes.ts"
import { raw, Thing } from "./thing.fixture.ts"
import { WorldView } from "./worldView.ts"

const Event = { group: "", version: "v1", kind: "Event", plural: "events", namespaced: true }
const minute = 60_000

beforeEach(() => void vi.useFakeTimers({ toFake: ["performance"] }))
afterEach(() => void vi.useRealTimers())

/** A store for Events, which fails in this way while it is told to. */
const open = () => {
  const api = new MemoryApi()
  const create = api.create.bind(api)
  const store = { failure: undefined as KubeFailure | undefined, asked: 0 }
  api.create = (...what) => {
    store.asked++
    return store.failure === undefined ? create(...what) : Effect.fail(store.failure)
  }
  const thing = new WorldView([Thing]).decode(Thing, raw("a", 1, "red"))!
  const opened = () => {
    const notes = new Notes(api, 100, new AbortController().signal)
    return async (message = "no free address") => {
      const note: EventNote = { type: "Warning", reason: "NoAddress", message }
      notes.add(Thing, thing, "paint-on-change", note)
      await notes.settled()
    }
  }
  const events = () => api.list(Event)
  const expire = async () => {
    for (const { metadata } of events()) {
      const ref = { namespace: metadata.namespace!, name: metadata.name }
      await Effect.runPromise(api.remove(Event, ref))
    }
  }
  return { store, opened, events, expire }
}

it("tells the same thing once, and asks the API server no more meanwhile", async () => {
  const { store, opened, events } = open()
  const say = opened()
  for (let minutes = 0; minutes < 50; minutes++) {
    await say()
    vi.advanceTimersByTime(minute)
  }
  expect([events().length, store.asked]).toEqual([1, 1])
  await say("another thing")
  expect(events()).toHaveLength(2)
})

it("tells again what holds still when its Event has expired, within ten minutes of that", async () => {
  const { opened, events, expire } = open()
  const say = opened()
  await say()
  for (let minutes = 1; minutes < 60; minutes++) {
    vi.advanceTimersByTime(minute)
    await say()
  }
  await expire()
  vi.advanceTimersByTime(10 * minute)
  await say()
  expect(events()).toHaveLength(1)
})

it("tells again within ten minutes what another host had told when its Event has expired", async () => {
  const { opened, events, expire } = open()
  const other = opened()
  await other()
  vi.advanceTimersByTime(59 * minute)
  const say = opened()
  await say()
  await expire()
  vi.advanceTimersByTime(10 * minute)
  await say()
  expect(events()).toHaveLength(1)
})

const what = { operation: "create Event", detail: "" }
it.each([
  ["was away", new Unavailable(what)],
  ["did not allow it", new Forbidden(what)]
])("tells what is said again after the API server %s", async (_, failure) => {
  const { store, opened, events } = open()
  const say = opened()
  store.failure = failure
  await say()
  store.failure = undefined
  await say()
  expect(events()).toHaveLength(1)
})

it("does not try again what the API server refuses for what it is", async () => {
  const { store, opened } = open()
  const say = opened()
  store.failure = new Invalid(what)
  await say()
  await say()
  expect(store.asked).toBe(1)
})

it("counts as said no Event that was dropped because too many were waiting", () => {
  const stop = new AbortController()
  const notes = new Notes(new MemoryApi(), 0.001, stop.signal)
  const thing = new WorldView([Thing]).decode(Thing, raw("a", 1, "red"))!
  const say = (n: number) =>
    notes.add(Thing, thing, "paint-on-change", { type: "Normal", reason: "Painted", message: `${n}` })
  // The first four are on their way.
  for (let n = 0; n < 20_005; n++) say(n)
  expect(notes.dropped).toBe(1)
  say(4)
  expect(notes.dropped).toBe(2)
  stop.abort()
})
