import { describe, expect, it } from "@effect/vitest"
import type { Report } from "#runtime"
import { MemoryFleet, testLink } from "#testkit"
import { claimOf, serviceOf } from "../domain/objects.fixture.ts"
import { defaultSettings } from "../domain/settings.ts"
import { changeOf } from "./decide.ts"
import { type FleetStory, follow, placeOn } from "./fleet.fixture.ts"

const claim = claimOf("10.0.0.1", serviceOf("web"))
const name = claim.metadata.name
const now = Date.UTC(2026, 0, 1, 12)
const at = (seconds: number) => now + seconds * 1000
const said = (node: string, what: Report["what"], term: number, more: object = {}) => ({
  ...{ claim: name, address: "10.0.0.1", node, what, term, at: at(term) },
  ...{ mac: `02:00:00:00:00:0${node.at(-1)}`, ...more }
})
const bound = {
  phase: "Bound",
  node: "n1",
  link: "eth0",
  mac: "02:00:00:00:00:01",
  boundAt: "2026-01-01T11:00:00Z"
}

const told = async (story: FleetStory, status?: object) => {
  const fleet = new MemoryFleet()
  const view = follow(fleet)
  for (const node of ["n1", "n2", "n3"])
    fleet.join(node, [testLink({ mac: `02:00:00:00:00:0${node.at(-1)}` })])
  await story(fleet, view)
  const change = changeOf({ ...claim, ...(status && { status }) } as never, view, defaultSettings, now)
  return (
    change && { ...change.state, isMoved: change.isMoved, isDisputed: change.isDisputed, patch: change.patch }
  )
}

describe("a claim's status says", () => {
  it.each<[string, FleetStory, object | undefined, object]>([
    [
      "that nobody has chosen a node yet",
      () => undefined,
      undefined,
      { phase: "Pending", reason: "NotPlaced" }
    ],
    [
      "which node is waited for",
      (fleet, view) => placeOn(fleet, view, name, "n1"),
      undefined,
      { phase: "Pending", reason: "WaitingForNode", message: "n1 is to put it on a link" }
    ],
    [
      "which node has bound it, where and when",
      (fleet) => fleet.report(said("n1", "bound", 1)),
      undefined,
      { ...bound, boundAt: "2026-01-01T12:00:01Z", isMoved: true }
    ],
    [
      "who took it over from a node that was silent, by the same placement",
      (fleet) => {
        fleet.report(said("n1", "bound", 3))
        fleet.lose("n1")
        fleet.report(said("n2", "taken", 3))
      },
      bound,
      { phase: "Bound", node: "n2", mac: "02:00:00:00:00:02", boundAt: "2026-01-01T12:00:03Z", isMoved: true }
    ],
    [
      "of two who say that they have it, the one with the newer placement",
      (fleet) => {
        fleet.report(said("n2", "bound", 5))
        fleet.report(said("n1", "taken", 4))
      },
      undefined,
      { node: "n2" }
    ],
    [
      "that nobody has it when the node gave it back, but not that it never was bound",
      (fleet) => {
        fleet.report(said("n1", "bound", 2))
        fleet.report(said("n1", "released", 2))
      },
      bound,
      {
        phase: "Pending",
        reason: "NotPlaced",
        boundAt: bound.boundAt,
        patch: expect.objectContaining({ node: null, mac: null })
      }
    ],
    [
      "that another machine has it, and when it is tried again",
      (fleet) => fleet.report(said("n1", "conflict", 2, { foreign: "02:99:00:00:00:07" })),
      undefined,
      {
        phase: "Conflict",
        retryAt: "2026-01-01T12:01:02Z",
        message: "another machine (02:99:00:00:00:07) answers for 10.0.0.1",
        isDisputed: true
      }
    ],
    [
      "that another machine took what was bound",
      (fleet) => {
        fleet.report(said("n1", "bound", 2))
        fleet.report(said("n1", "conflict", 2, { at: at(9), foreign: "02:99:00:00:00:07" }))
      },
      bound,
      { phase: "Conflict", boundAt: bound.boundAt, patch: expect.objectContaining({ node: null }) }
    ],
    [
      "who has it by the inventory alone, after JetStream was wiped",
      (fleet) => {
        fleet.inventory("n2", [{ claim: name, address: "10.0.0.1", term: 7 }])
      },
      bound,
      { phase: "Bound", node: "n2", mac: "02:00:00:00:00:02", boundAt: "2026-01-01T12:00:00Z" }
    ],
    [
      "that it is lost with its node, but whose it was, while nobody has taken it over",
      (fleet) => {
        fleet.report(said("n1", "bound", 2))
        fleet.abandon("n1")
      },
      bound,
      { phase: "Pending", reason: "NodeLost", node: "n1", boundAt: bound.boundAt }
    ],
    [
      "that it is lost with a node that never came back after the whole cluster had been away",
      (fleet) => fleet.inventory("n2", []),
      { ...bound, node: "n9" },
      { phase: "Pending", reason: "NodeLost", node: "n9" }
    ],
    [
      "whose it was, when that node is back without it before anybody has placed it there, JetStream being new",
      (fleet) => fleet.inventory("n1", []),
      bound,
      { phase: "Pending", reason: "NotPlaced", node: "n1", link: "eth0", boundAt: bound.boundAt }
    ],
    [
      "whose it was until that node has it again",
      (fleet, view) => {
        fleet.inventory("n1", [])
        return placeOn(fleet, view, name, "n1")
      },
      bound,
      { phase: "Pending", reason: "WaitingForNode", node: "n1" }
    ],
    [
      "no node while another one is to have it",
      (fleet, view) => {
        fleet.inventory("n1", [])
        return placeOn(fleet, view, name, "n2")
      },
      bound,
      { phase: "Pending", reason: "WaitingForNode", patch: expect.objectContaining({ node: null }) }
    ],
    [
      "that it is on no node when the one that had it is back without it, but whose it was",
      (fleet) => {
        fleet.report(said("n1", "bound", 2))
        fleet.inventory("n1", [])
      },
      bound,
      { phase: "Pending", reason: "NotPlaced", node: "n1" }
    ]
  ])("%s", async (_, story, status, want) => {
    expect(await told(story, status)).toMatchObject(want)
  })

  const condition = (status: string, reason: string, message: string) => ({
    conditions: [{ type: "Bound", status, reason, message, lastTransitionTime: "2026-01-01T11:00:00Z" }]
  })
  const whole = { ...bound, ...condition("True", "OnNode", "on n1 (eth0, 02:00:00:00:00:01)") }

  it.each<[string, FleetStory, object]>([
    ["its node says it again, by a newer placement", (fleet) => fleet.report(said("n1", "bound", 9)), whole],
    [
      "its node is lost, and not yet replaced",
      (fleet) => {
        fleet.report(said("n1", "bound", 2))
        fleet.lose("n1")
      },
      whole
    ],
    ["JetStream was wiped, and its node has not been heard of since", () => undefined, whole],
    [
      "JetStream was wiped, and its node is not there yet",
      (fleet) => {
        fleet.followedMillis = 3_000
      },
      { ...whole, node: "n9" }
    ],
    [
      "JetStream was wiped after a conflict",
      () => undefined,
      { phase: "Conflict", retryAt: "2026-01-01T12:01:00Z" }
    ]
  ])("nothing else when %s", async (_, story, status) => {
    expect(await told(story, status)).toBeUndefined()
  })

  it("when it is tried again, each time that the other machine answers again, but no second Event", async () => {
    const message = "another machine (02:99:00:00:00:07) answers for 10.0.0.1"
    const before = {
      ...{ phase: "Conflict", retryAt: "2026-01-01T12:00:00Z" },
      ...condition("False", "HeldByForeign", message)
    }
    const story: FleetStory = (fleet) =>
      fleet.report(said("n1", "conflict", 2, { foreign: "02:99:00:00:00:07" }))
    expect(await told(story, before)).toMatchObject({
      isDisputed: false,
      patch: { retryAt: "2026-01-01T12:01:02Z" }
    })
  })
})
