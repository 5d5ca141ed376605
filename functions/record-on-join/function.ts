import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import {
  create,
  defineFunction,
  Fleet,
  type FleetWakes,
  fleetChanged,
  type Keyed,
  Kube,
  patchStatus,
  read,
  refOf,
  seeFleet
} from "#runtime"
import { IpNode } from "../domain/kinds.ts"
import type { Settings } from "../domain/settings.ts"
import { changeOf, newNode } from "./decide.ts"

const theNode: FleetWakes<IpNode> = {
  kind: IpNode,
  keys: ({ what, node }, _view, fleet) => {
    const names = new Set(node === "" ? [] : [node])
    // What is placed anew may have been a lost node's, of which that is not said.
    if (what === "placed")
      for (const { name, state } of fleet.nodes.values()) if (state !== "alive") names.add(name)
    return Array.from(names, (name) => ({ namespace: "", name }))
  }
}

/**
 * Keeps an IpNode for each node of the fleet: whether it is alive, how many addresses it holds, on which link.
 *
 * Reads   the node's presence, and what it holds.
 * Writes  the IpNode where there is none, and its status where it differs, once a second at most. Its spec is the user's.
 * Repeat  harmless: the status is derived anew each time, and what it says already is not written.
 */
export const recordOnJoin = (_settings: Settings) =>
  defineFunction({
    name: "record-on-join",
    on: [
      // One that was there before its node, or was deleted while its node lives.
      IpNode.touched,
      fleetChanged(["joined", "changed", "lost", "abandoned", "inventory", "report", "placed"]).touches(
        theNode
      )
    ],
    needs: [read(IpNode), create(IpNode), patchStatus(IpNode), seeFleet],
    debounceMillis: 1_000,
    handle: Effect.fnUntraced(function* ({ ref, now: present }: Keyed<IpNode>) {
      const [kube, fleet, now] = [yield* Kube, yield* Fleet, yield* Clock.currentTimeMillis]
      const change = changeOf(ref.name, present, fleet, now)
      if (change === undefined) return
      const node = present ?? (yield* kube.create(IpNode, newNode(ref.name)))
      yield* kube.applyStatus(IpNode, refOf(node), { uid: node.metadata.uid }, change.status)
      return change.told
    })
  })
