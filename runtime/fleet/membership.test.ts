import { describe, expect, it } from "@effect/vitest"
import { Membership } from "./membership.ts"
import { FleetState } from "./state.ts"

/** Nodes that put their keys each second, and a clock that is looked at four times a second. */
const open = (...alive: ReadonlyArray<string>) => {
  const state = new FleetState()
  const events: Array<string> = []
  const membership = new Membership({ state, lifetimeMillis: 5_000, abandonMillis: 12_000 })
  const nodes = new Set(alive)
  const expiry = new Map<string, number>()
  let now = 1_000_000
  let sequence = 0
  const put = (node: string) => {
    membership.put(node, ++sequence, now)
    state.present(node, { links: [], version: "1", session: "s" })
    expiry.set(node, now + 5_000)
  }
  const expire = () => {
    for (const [node, at] of expiry) {
      if (at > now) continue
      expiry.delete(node)
      membership.gone(node, ++sequence)
    }
  }
  const start = (at = now) => {
    for (const node of nodes) put(node)
    membership.whole(at)
  }
  state.listen(({ what, node }) => events.push(`${what} ${node}`))
  const pass = (seconds: number, options: { readonly frozen?: boolean; readonly away?: boolean } = {}) => {
    for (let quarter = 0; quarter < seconds * 4; quarter++) {
      now += 250
      if (options.frozen === true) continue
      if (options.away !== true) {
        expire()
        if (quarter % 4 === 0) for (const node of nodes) put(node)
      }
      membership.look(now)
    }
  }
  start()
  events.length = 0
  const reconnect = () => {
    membership.begin()
    expire()
    start()
  }
  return {
    membership,
    state,
    events,
    nodes,
    pass,
    expire,
    reconnect,
    followed: () => membership.followedMillis(now)
  }
}

describe("a node", () => {
  it("is lost when its key expires while others put theirs, and abandoned 12 s after that", () => {
    const { events, nodes, pass } = open("a", "b")
    pass(10)
    nodes.delete("a")
    pass(4)
    expect(events).toEqual([])
    pass(2)
    expect(events).toEqual(["lost a"])
    pass(10)
    expect(events).toEqual(["lost a"])
    pass(3)
    expect(events).toEqual(["lost a", "abandoned a"])
  })

  it("that comes back is not lost any more, and has its whole time again", () => {
    const { events, nodes, pass } = open("a", "b")
    pass(10)
    nodes.delete("a")
    pass(15)
    nodes.add("a")
    pass(5)
    nodes.delete("a")
    pass(15)
    expect(events).toEqual(["lost a", "joined a", "lost a"])
  })

  it("is not lost when all keys expire at once: NATS was away", () => {
    const { events, nodes, pass, followed } = open("a", "b", "c")
    pass(10)
    nodes.clear()
    pass(60)
    expect([events, followed()]).toEqual([[], 0])
    for (const node of ["a", "b"]) nodes.add(node)
    pass(4)
    expect(events).toEqual([])
    pass(3)
    expect(events).toEqual(["lost c"])
  })

  it("is not lost right after an interruption, and not abandoned by the time before it", () => {
    const { events, nodes, pass, reconnect } = open("a", "b", "c")
    pass(10)
    nodes.delete("a")
    pass(12)
    expect(events).toEqual(["lost a"])
    nodes.delete("b")
    reconnect()
    pass(4)
    expect(events).toEqual(["lost a"])
    pass(3)
    expect(events).toEqual(["lost a", "lost b"])
    pass(4)
    expect(events).toEqual(["lost a", "lost b"])
    pass(3)
    expect(events).toEqual(["lost a", "lost b", "abandoned a"])
  })

  it("is not lost while NATS stands still without saying so", () => {
    const { events, pass, expire, followed } = open("a", "b")
    pass(10)
    pass(8, { away: true })
    expect(followed()).toBe(0)
    expire()
    pass(2)
    expect(events).toEqual([])
  })

  it("is not lost by a pause of the process that watches", () => {
    const { events, nodes, pass } = open("a", "b")
    pass(10)
    nodes.delete("a")
    pass(6, { frozen: true })
    pass(4)
    expect(events).toEqual([])
    pass(3)
    expect(events).toEqual(["lost a"])
  })

  it("that something is placed on, but nobody has heard of, has its time as well", () => {
    const { events, state, pass } = open("a")
    const assignment = { role: "holder", claim: "x", address: "10.0.0.1", term: 1, holder: "ghost" } as const
    state.assigned(1, "ghost", "x", assignment)
    pass(4)
    expect([state.nodes.get("ghost")?.state, events]).toEqual(["alive", ["placed ghost"]])
    pass(2)
    expect(state.nodes.get("ghost")?.state).toBe("lost")
    pass(13)
    expect(state.nodes.get("ghost")?.state).toBe("abandoned")
  })
})
