import { describe, expect, it } from "@effect/vitest"
import { newSpan, parseTraceparent, traceparentOf } from "./context.ts"
import type { SpanRecord, SpanWrite } from "./span.ts"
import { draw, type EventRecord, tell } from "./story.ts"
import { placedBy } from "./wire.ts"

const start = Date.UTC(2026, 0, 1, 12)
const web = "services/default/web"
const claim = "ipclaims.ipcontroller.ext/10-0-0-1"
const pool = "ipclaimpools.ipcontroller.ext/lan"

const event = (
  sequence: number,
  object: string,
  version: string,
  more: Partial<EventRecord> = {}
): EventRecord => ({
  sequence,
  object,
  verb: version === "deleted" ? "deleted" : "modified",
  uid: `uid-${object}`,
  resourceVersion: version,
  at: start + sequence,
  synthesized: false,
  ...more
})
const write = (object: string, version: string, more: Partial<SpanWrite> = {}): SpanWrite => ({
  object,
  uid: `uid-${object}`,
  resourceVersion: version,
  verb: version === "deleted" ? "delete" : "patch",
  subresource: "",
  start: start + 3,
  end: start + 5,
  ...more
})
const span = (
  name: string,
  woke: number | undefined,
  writes: ReadonlyArray<SpanWrite>,
  more: object = {}
): SpanRecord => ({
  traceId: "t",
  spanId: name,
  function: name,
  host: "h",
  object: web,
  start: start + 2,
  end: start + 8,
  ...(woke === undefined ? {} : { event: { sequence: woke, at: start + woke } }),
  writes,
  outcome: "done",
  attempt: 1,
  ...more
})
const by = { manager: "kubectl-annotate", operation: "Update", at: "2026-01-01T11:59:59Z" }

describe("the story of an object", () => {
  const events = [
    event(1, web, "10", { by }),
    event(4, claim, "11", { verb: "added" }),
    event(5, web, "12"),
    event(9, web, "deleted")
  ]
  const spans = [
    span("allocate-on-annotate", 1, [write(claim, "11", { verb: "create" }), write(web, "12")], {
      decision: "gave 10.0.0.1 from lan"
    }),
    span("summarize-pool", 4, []),
    span("free-on-delete", 9, [write(claim, "deleted")])
  ]

  it("hangs each event on the run that wrote its state, and each run on the event that woke it", () => {
    const { roots, others } = tell(events, spans)
    expect(others).toEqual([])
    expect(roots.map(({ event: { sequence } }) => sequence)).toEqual([1, 9])
    const [allocation] = roots[0]!.runs
    expect(allocation?.span.function).toBe("allocate-on-annotate")
    expect(allocation?.caused.map(({ event: { sequence } }) => sequence)).toEqual([4, 5])
    expect(allocation?.caused[0]?.runs.map(({ span: { function: fn } }) => fn)).toEqual(["summarize-pool"])
  })

  it("tells who began it, what was decided, and each write with its time", () => {
    const lines = draw(tell(events, spans)).join("\n")
    expect(lines).toContain(`12:00:00.001  ${web} modified by kubectl-annotate (Update) at 11:59:59`)
    expect(lines).toContain(`allocate-on-annotate for ${web} took 6 ms, done: gave 10.0.0.1 from lan`)
    expect(lines).toContain(`create ${claim} took 2 ms → 11`)
    expect(lines).toContain(`delete ${claim} took 2 ms → deleted`)
  })

  it("says of a change that nobody's fields tell of why it names nobody", () => {
    const lines = draw(tell([event(1, web, "10"), event(2, web, "deleted")], []))
    expect(lines[0]).toBe(
      `12:00:00.001  ${web} modified by somebody: Kubernetes keeps no name of who only removes or deletes`
    )
    expect(lines).toContain(`12:00:00.002  ${web} deleted`)
  })

  it("makes a root of an event whose writer failed, and says how", () => {
    const lost = span("allocate-on-annotate", 1, [write(web, "12", { failure: "Conflict" })], {
      outcome: "retry",
      attempt: 2
    })
    const story = tell([event(1, web, "10"), event(5, web, "12")], [lost])
    expect(story.roots.map(({ event: { sequence } }) => sequence)).toEqual([1, 5])
    const lines = draw(story).join("\n")
    expect(lines).toContain("retry (attempt 2)")
    expect(lines).toContain(`patch ${web} took 2 ms ✗ Conflict`)
  })

  it("keeps apart two objects of one version", () => {
    const [root] = tell(
      [event(1, web, "10"), event(2, claim, "10")],
      [span("f", 1, [write(claim, "10")])]
    ).roots
    expect(root?.runs[0]?.caused.map(({ event: { object } }) => object)).toEqual([claim])
  })

  it("tells of timers, and of runs whose event has left the log, by themselves", () => {
    const story = tell(
      [event(7, web, "12")],
      [span("sweep", undefined, [write(web, "12")], { object: "tick" }), span("late", 3, [])]
    )
    expect(story.others.map(({ span: { function: fn } }) => fn)).toEqual(["sweep", "late"])
    expect(story.roots).toEqual([])
    expect(story.others[0]?.caused.map(({ event: { sequence } }) => sequence)).toEqual([7])
    const lines = draw(story).join("\n")
    expect(lines).toContain("sweep: a timer")
    expect(lines).toContain("late: an event that has left the log")
  })

  it("tells an event once, even if two runs claim to have made its state", () => {
    const story = tell(
      [event(1, web, "10"), event(2, claim, "11")],
      [span("one", 1, [write(claim, "11")]), span("two", 1, [write(claim, "11")])]
    )
    const lines = draw(story).filter((line) => line.includes("event 2"))
    expect(lines).toHaveLength(1)
  })

  it("leaves a user's change with the user where a run only found it as it was to be", () => {
    const story = tell(
      [event(1, web, "10", { by }), event(7, claim, "20")],
      [
        span("label-on-change", 1, [
          write(web, "10", { unchanged: true }),
          write(claim, "20", { unchanged: true })
        ])
      ]
    )
    expect(story.roots.map(({ event: { sequence } }) => sequence)).toEqual([1, 7])
    expect(story.roots[0]?.runs[0]?.caused).toEqual([])
    const lines = draw(story).join("\n")
    expect(lines).toContain(`${web} modified by kubectl-annotate (Update) at 11:59:59`)
    expect(lines).toContain(`patch ${web} took 2 ms = 10, nothing changed`)
  })

  it("tells all of what only follows from itself, once, from its first event on", () => {
    const story = tell(
      [event(3, claim, "11"), event(2, web, "10"), event(1, pool, "9")],
      [
        span("one", 2, [write(claim, "11")]),
        span("two", 3, [write(web, "10")]),
        span("heard", undefined, [], { parentSpanId: "two" }),
        span("outside", 1, [])
      ]
    )
    expect(story.roots.map(({ event: { sequence } }) => sequence)).toEqual([1, 2])
    expect(story.others).toEqual([])
    const lines = draw(story).map((line) => line.trim())
    for (const one of [
      /event 1:/,
      /event 2:/,
      /event 3:/,
      /one for/,
      /two for/,
      /heard for/,
      /outside for/
    ]) {
      expect(lines.filter((line) => one.test(line))).toHaveLength(1)
    }
  })

  it("says of a deletion that nobody watched how it was found", () => {
    const lines = draw(tell([event(3, web, "deleted", { synthesized: true })], []))
    expect(lines.join("\n")).toContain("(found by comparing with a list)")
  })
})

describe("the story of an address on the wire", () => {
  const assigned = "assignments.nats/10-0-0-1"
  const place = write("placements/10-0-0-1", "", { verb: "place", uid: "" })
  const events = [
    event(1, web, "10", { by }),
    event(4, claim, "11", { verb: "added" }),
    event(9, claim, "12")
  ]
  const allocate = span("allocate-on-annotate", 1, [write(claim, "11", { verb: "create" })])
  const assign = span("assign-on-claim", 4, [place], { object: claim, start: start + 6 })
  const onNode = (name: string, host: string, at: number, more: object = {}) =>
    span(name, 4, [], { object: assigned, host, start: start + at, end: start + at + 64, ...more })
  const bind = onNode("bind-on-node", "node-2", 10, {
    parentSpanId: "assign-on-claim",
    decision: "put 10.0.0.1 on eth0 and announced it with aa:bb:cc:dd:ee:ff"
  })
  const standBy = onNode("bind-on-node", "node-3", 9, { parentSpanId: "assign-on-claim", spanId: "standby" })
  const record = span("record-on-bind", undefined, [write(claim, "12", { subresource: "status" })], {
    object: claim,
    parentSpanId: "bind-on-node",
    start: start + 90
  })

  it("ends at the announcement, under the run that placed the claim, node by node and in order", () => {
    const { roots, others } = tell(events, [record, bind, standBy, assign, allocate])
    expect(others).toEqual([])
    const [placed] = roots[0]!.runs[0]!.caused[0]!.runs
    expect(placed?.span.function).toBe("assign-on-claim")
    expect(placed?.followed.map(({ span: { host } }) => host)).toEqual(["node-3", "node-2"])
    const [recorded] = placed!.followed[1]!.followed
    expect(recorded?.span.function).toBe("record-on-bind")
    expect(recorded?.caused.map(({ event: { sequence } }) => sequence)).toEqual([9])
  })

  it("names the node, and what was announced there", () => {
    const lines = draw(tell(events, [allocate, assign, bind])).map((line) => line.trim())
    const at = lines.findIndex((line) => line.includes("place placements/10-0-0-1"))
    expect(lines[at]).toMatch(/place placements\/10-0-0-1 took 2 ms$/)
    expect(lines[at + 1]).toMatch(
      /^\+9 ms +bind-on-node for assignments.nats\/10-0-0-1 on node-2 took 64 ms, done: put 10.0.0.1 on eth0 and announced it with aa:bb:cc:dd:ee:ff$/
    )
  })

  it("does not take a node's event for one of the log with the same number", () => {
    const { roots } = tell(events, [allocate, assign, bind])
    expect(roots[0]!.runs[0]!.caused[0]!.runs.map(({ span: { function: fn } }) => fn)).toEqual([
      "assign-on-claim"
    ])
  })

  it("tells of a takeover that nobody had ordered, and of what was done because of it", () => {
    const took = onNode("take-over", "node-3", 500, { spanId: "takeover" })
    const again = span("assign-on-claim", undefined, [place], {
      object: claim,
      parentSpanId: "takeover",
      spanId: "again"
    })
    const heard = span("record-on-bind", undefined, [], { object: claim, start: start + 600 })
    const story = tell(events, [allocate, assign, bind, took, again, heard])
    expect(story.others.map(({ span: { function: fn } }) => fn)).toEqual(["take-over", "record-on-bind"])
    expect(story.others[0]?.followed.map(({ span: { spanId } }) => spanId)).toEqual(["again"])
    const lines = draw(story).join("\n")
    expect(lines).toContain("12:00:00.500  take-over: on node-3")
    expect(lines).toContain("record-on-bind: what is heard of the nodes")
  })

  it("is told for as long as the claim is there, and not of the next one of its address", () => {
    const free = span("free-on-delete", 9, [write(claim, "deleted", { verb: "delete", start: start + 50 })])
    const [placed] = placedBy([allocate, assign, free])
    expect(placed?.claim).toBe("10-0-0-1")
    expect([...placed!.objects]).toEqual([claim])
    expect([0, 3, 40, 60].map((at) => placed!.isIn(start + at))).toEqual([false, true, true, false])
    const old = placedBy([assign])[0]!
    expect([0, 60].map((at) => old.isIn(start + at))).toEqual([true, true])
  })
})

describe("a trace context", () => {
  it("travels in a header and back", () => {
    const parent = newSpan()
    expect(parseTraceparent(traceparentOf(parent))).toEqual(parent)
    const child = newSpan(parent)
    expect(child.traceId).toBe(parent.traceId)
    expect(child.spanId).not.toBe(parent.spanId)
  })

  it.each([undefined, "", "00-abc-def-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01"])(
    "is none when the header is %j",
    (header) => {
      expect(parseTraceparent(header)).toBeUndefined()
    }
  )

  it("has ids of its own for each of many spans", () => {
    const ids = new Set(Array.from({ length: 1_000 }, () => newSpan().spanId))
    expect(ids.size).toBe(1_000)
  })
})
