import { describe, expect, it } from "@effect/vitest"
import type { EndpointSlice } from "./kinds.ts"
import { LocalEndpoints } from "./local-endpoints.ts"

type Endpoints = NonNullable<EndpointSlice["endpoints"]>

const slice = (name: string, service: string | undefined, endpoints: Endpoints | null): EndpointSlice => ({
  metadata: {
    name,
    namespace: "default",
    uid: name,
    resourceVersion: "1",
    creationTimestamp: "2026-01-01T00:00:00Z",
    labels: service === undefined ? {} : { "kubernetes.io/service-name": service }
  },
  endpoints
})
const on = (nodeName: string, conditions: Endpoints[number]["conditions"] = {}) => ({ nodeName, conditions })
const nodesOf = (...slices: ReadonlyArray<EndpointSlice>) => {
  const endpoints = new LocalEndpoints()
  for (const one of slices) endpoints.apply(`default/${one.metadata.name}`, undefined, one)
  return [...endpoints.nodesOf("default/web")].sort()
}

describe("the nodes with endpoints of a Service", () => {
  const cases: ReadonlyArray<
    readonly [what: string, slices: ReadonlyArray<EndpointSlice>, nodes: ReadonlyArray<string>]
  > = [
    [
      "a condition that is left out counts as ready",
      [slice("a", "web", [on("n1"), { nodeName: "n2" }])],
      ["n1", "n2"]
    ],
    ["one that is not ready does not count", [slice("a", "web", [on("n1", { ready: false })])], []],
    ["nor one that does not serve", [slice("a", "web", [on("n1", { ready: true, serving: false })])], []],
    [
      "one that terminates does not count while another is ready, in whatever slice",
      [
        slice("a", "web", [on("n1", { ready: false, serving: true, terminating: true })]),
        slice("b", "web", [on("n2", { ready: true })])
      ],
      ["n2"]
    ],
    [
      "one that terminates but serves counts where none is ready",
      [
        slice("a", "web", [
          on("n1", { ready: false, serving: true, terminating: true }),
          on("n2", { ready: false })
        ])
      ],
      ["n1"]
    ],
    ["one without a node is on none", [slice("a", "web", [{ conditions: { ready: true } }])], []],
    ["a slice may say null", [slice("a", "web", null)], []],
    ["slices of others do not count", [slice("a", "mail", [on("n1")]), slice("b", undefined, [on("n2")])], []]
  ]

  it.each(cases)("%s", (_, slices, nodes) => {
    expect(nodesOf(...slices)).toEqual(nodes)
  })

  it("follow changes, other labels and deletions", () => {
    const endpoints = new LocalEndpoints()
    const [first, second] = [slice("a", "web", [on("n1")]), slice("a", "web", [on("n2")])]
    endpoints.apply("default/a", undefined, first)
    expect([...endpoints.nodesOf("default/web")]).toEqual(["n1"])
    endpoints.apply("default/a", first, second)
    expect([...endpoints.nodesOf("default/web")]).toEqual(["n2"])
    const other = slice("a", "mail", [on("n2")])
    endpoints.apply("default/a", second, other)
    expect([...endpoints.nodesOf("default/web")]).toEqual([])
    expect([...endpoints.nodesOf("default/mail")]).toEqual(["n2"])
    endpoints.apply("default/a", other, undefined)
    expect([...endpoints.nodesOf("default/mail")]).toEqual([])
  })
})
