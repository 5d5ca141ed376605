import * as Effect from "effect/Effect"
import type { FleetView } from "#runtime"
import type { MemoryFleet } from "#testkit"
import { TestCluster } from "#testkit"

type View = TestCluster["fleetView"]
export type FleetStory = (fleet: MemoryFleet, view: View) => unknown

/** The fleet as a host sees it. */
export const follow = (fleet: MemoryFleet): View & FleetView => new TestCluster([], { fleet }).fleetView

/** What assign-on-claim does. */
export const placeOn = (
  fleet: MemoryFleet,
  view: View,
  claim: string,
  holder: string | undefined
): Promise<void> => {
  const address = claim.replaceAll("-", ".")
  const places = [{ claim, address, holder, standby: undefined, link: undefined }]
  return Effect.runPromise(fleet.access(view).place(places, () => ""))
}
