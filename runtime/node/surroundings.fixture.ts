import type { Heard, Signature } from "./kernel/frames.ts"
import type { Lan } from "./lan.ts"
import { Peers } from "./peers.ts"
import type { NodeLink, Surroundings } from "./surroundings.ts"
import { defaultTimes } from "./times.ts"

export const address = "10.0.0.1"
export const [mine, other, foreign] = ["02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"]

export const heard = (what: Heard["what"], mac: string, signature?: Signature): Heard =>
  ({ address, mac, what, isReply: what === "has", toUs: true, signature }) as Heard
export const by = (term: number, taken: boolean): Signature => ({ term, taken, released: false })

/** A link on which that is heard of what is asked for. */
export const lanThat = (
  ask: (addresses: ReadonlyArray<string>) => ReadonlyMap<string, ReadonlyArray<Heard>>,
  announce: () => void = () => undefined
): Lan =>
  ({
    index: 1,
    name: "eth0",
    mac: mine,
    ask: async (addresses: ReadonlyArray<string>) => ask(addresses),
    announce,
    farewell: () => undefined
  }) as unknown as Lan

export const linkOf = (mac: string): NodeLink => ({
  index: 1,
  name: "eth0",
  mac,
  subnets: ["10.0.0.9/24"],
  carrier: true,
  defaultRoutes: [],
  chosen: false
})

/** A kernel that does everything, and no NATS. */
export const aroundOf = (lan: Lan, peers = new Peers()): Surroundings => ({
  times: { ...defaultTimes, probeGapMillis: 1 },
  kernel: {
    put: async (_, all) => all.map(() => 0),
    remove: async (_, all) => all.map(() => 0),
    links: () => []
  },
  links: () => [linkOf(mine)],
  lan: () => lan,
  peers,
  inContact: () => false,
  assignmentOf: () => undefined,
  beat: () => 0,
  report: () => undefined,
  wake: () => undefined,
  say: () => undefined
})
