import { expect, it } from "@effect/vitest"
import { MockAgent } from "undici"
import type { RawObject } from "../kube/api.ts"
import { identityPrints } from "../nats/events.ts"
import { objectToken } from "../nats/names.ts"
import { compare } from "./compare.ts"
import type { Known } from "./known.ts"
import { defaultSourceTimes } from "./source.ts"

const kind = { group: "", version: "v1", kind: "Thing", plural: "things", namespaced: true }

it("knows afterwards whose the fields of what is unchanged are, and keeps what it knew better", async () => {
  const managedFields = [{ manager: "alice", operation: "Update", time: "2026-01-02T09:05:00Z" }]
  const object = (name: string): RawObject => ({
    metadata: { name, namespace: "a", uid: name, resourceVersion: "5", managedFields }
  })
  const items = [object("loaded"), object("published")]
  const agent = new MockAgent()
  agent
    .get("http://cluster")
    .intercept({ path: /^\/api\/v1\/things/ })
    .reply(200, { metadata: { resourceVersion: "9" }, items })
  const keyOf = (name: string) => objectToken(kind, { namespace: "a", name })
  const state = (name: string) => ({
    uid: name,
    resourceVersion: "5",
    sequence: 1,
    ref: { namespace: "a", name }
  })
  const known = new Map<string, Known>([
    [keyOf("loaded"), state("loaded")],
    [keyOf("published"), { ...state("published"), fields: [1, 2] }]
  ])
  const published: Array<unknown> = []
  await compare(
    {
      cluster: {
        server: "http://cluster",
        dispatcher: async () => agent,
        headers: async () => ({}),
        refresh: () => undefined,
        close: async () => undefined
      },
      kind,
      known,
      publisher: { publish: async (seen: unknown) => void published.push(seen) } as never,
      times: defaultSourceTimes,
      signal: new AbortController().signal,
      lastListed: undefined,
      synced: async () => undefined,
      say: () => undefined
    },
    undefined
  )
  expect(published).toEqual([])
  expect(known.get(keyOf("loaded"))).toEqual({
    ...state("loaded"),
    fields: identityPrints(object("loaded"))
  })
  expect(known.get(keyOf("published"))?.fields).toEqual([1, 2])
})
