import { describe, expect, it } from "@effect/vitest"
import type { FleetEvent, FleetLink } from "../Fleet.ts"
import { asEvents } from "./asEvents.ts"
import type { Assignment, Presence } from "./messages.ts"
import { FleetState } from "./state.ts"

const link: FleetLink = {
  name: "eth0",
  mac: "02:00:00:00:00:01",
  subnets: ["192.168.0.11/24"],
  carrier: true,
  defaultRoutes: [4],
  chosen: false
}
const presence = (more: Partial<Presence> = {}): Presence => ({
  links: [link],
  version: "1",
  session: "s1",
  ...more
})
const claim = "192-168-0-249"
const address = "192.168.0.249"
const assignment = (role: "holder" | "standby", holder: string, standby: string, term = 1): Assignment => ({
  role,
  claim,
  address,
  term,
  holder,
  standby
})
const report = (node: string, what: "bound" | "taken" | "released" | "conflict", term = 1) =>
  ({ node, claim, what, address, link: "eth0", mac: link.mac, term, at: 0 }) as const

const open = () => {
  const state = new FleetState()
  const events: Array<string> = []
  state.listen(({ what, node }: FleetEvent) => events.push(`${what} ${node}`))
  return { state, events }
}

describe("the fleet", () => {
  it("knows a placement from either of its keys, and counts what each node has", () => {
    const { state, events } = open()
    state.assigned(1, "a", claim, assignment("holder", "a", "b"))
    state.assigned(2, "b", claim, assignment("standby", "a", "b"))
    expect(state.placements.get(claim)).toEqual({
      claim,
      address,
      holder: "a",
      standby: "b",
      link: undefined,
      term: 1
    })
    expect([state.heldBy("a").size, state.standingBy("b").size, state.heldBy("b").size]).toEqual([1, 1, 0])
    state.assigned(3, "b", claim, assignment("holder", "b", "c", 2))
    state.assigned(4, "c", claim, assignment("standby", "b", "c", 2))
    state.assigned(5, "a", claim, undefined)
    expect([state.heldBy("a").size, state.heldBy("b").size, state.standingBy("c").size]).toEqual([0, 1, 1])
    expect([state.lastSequence(claim), state.nextTerm(claim)]).toEqual([5, 3])
    expect(events).toEqual(["placed a", "placed b"])
  })

  it("forgets a placement with its last key, but neither its sequence nor its term", () => {
    const { state } = open()
    state.assigned(1, "a", claim, assignment("holder", "a", "b", 7))
    state.assigned(2, "b", claim, assignment("standby", "a", "b", 7))
    state.assigned(3, "a", claim, undefined)
    state.assigned(4, "b", claim, undefined)
    expect(state.placements.size).toBe(0)
    expect([state.lastSequence(claim), state.nextTerm(claim)]).toEqual([4, 8])
  })

  it("passes over what it knows already", () => {
    const { state, events } = open()
    state.assigned(3, "b", claim, assignment("holder", "b", "c", 2))
    state.assigned(2, "a", claim, assignment("holder", "a", "b", 1))
    expect(state.placements.get(claim)?.holder).toBe("b")
    expect(events).toEqual(["placed b"])
  })

  it("adds to an inventory what is bound, and takes out what is released", () => {
    const { state, events } = open()
    state.present("a", presence())
    state.reported(report("a", "bound"))
    expect(state.inventories.size).toBe(0)
    state.inventory("a", { id: "i1", held: [{ claim: "x", address: "1.2.3.4", link: "eth0", term: 9 }] })
    state.reported(report("a", "taken", 4))
    expect([...state.inventories.get("a")!.held.keys()]).toEqual(["x", claim])
    state.reported(report("a", "conflict", 4))
    expect([...state.inventories.get("a")!.held.keys()]).toEqual(["x"])
    expect(state.reports(claim).get("a")?.what).toBe("conflict")
    expect([state.nextTerm("x"), state.nextTerm(claim)]).toEqual([10, 5])
    expect(events).toEqual(["joined a", "report a", "inventory a", "report a", "report a"])
  })

  it("does not believe an inventory that its node's presence does not name, until the node is lost", () => {
    const { state, events } = open()
    state.inventory("a", { id: "old", held: [] })
    expect(state.inventories.has("a")).toBe(false)
    state.present("a", presence({ inventory: "new" }))
    expect(state.inventories.has("a")).toBe(false)
    state.inventory("a", { id: "new", held: [] })
    expect(state.inventories.get("a")?.id).toBe("new")
    state.assigned(1, "b", claim, assignment("holder", "b", "a"))
    state.inventory("b", { id: "last", held: [] })
    expect(state.inventories.has("b")).toBe(false)
    state.lose("b")
    expect(state.inventories.get("b")?.id).toBe("last")
    expect(events).toEqual(["joined a", "inventory a", "placed b", "lost b", "inventory b"])
  })

  it("tells of a node what is new, and nothing while it stays as it is", () => {
    const { state, events } = open()
    state.present("a", presence())
    state.present("a", presence())
    state.present("a", presence({ links: [{ ...link, carrier: false }] }))
    state.lose("a")
    state.lose("a")
    state.present("a", presence())
    expect(events).toEqual(["joined a", "changed a", "lost a", "joined a"])
  })

  it("keeps a node that is abandoned as long as something is placed there", () => {
    const { state } = open()
    state.present("a", presence())
    state.assigned(1, "a", claim, assignment("holder", "a", "b"))
    state.lose("a")
    state.abandon("a")
    expect(state.nodes.get("a")?.state).toBe("abandoned")
    state.assigned(2, "b", claim, assignment("holder", "b", "c", 2))
    state.assigned(3, "a", claim, undefined)
    expect([...state.nodes.keys()]).toEqual(["b", "c"])
  })

  it("begins anew with a new life of the streams, and remembers terms", () => {
    const { state, events } = open()
    state.present("a", presence())
    state.assigned(8, "a", claim, assignment("holder", "a", "b", 5))
    state.inventory("a", { id: "i", held: [] })
    state.declared("a", "i")
    state.begin()
    expect([state.placements.size, state.inventories.size, state.heldBy("a").size]).toEqual([0, 0, 0])
    expect(state.completed("a")).toBe(undefined)
    state.assigned(1, "b", claim, assignment("holder", "b", "a", 2))
    state.whole()
    expect([state.placements.get(claim)?.holder, state.nextTerm(claim)]).toEqual(["b", 6])
    expect(events).toEqual(["joined a", "placed a", "inventory a"])
    expect([...asEvents(state, ["joined", "placed"])]).toEqual([
      { what: "joined", node: "a" },
      { what: "joined", node: "b" },
      { what: "placed", node: "b", claim }
    ])
  })
})
