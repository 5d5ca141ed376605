/** What can go wrong, and with what. Of one place only one thing at a time is wrong; different ones overlap. */
export const faults = {
  "power cut": "host",
  "runtime killed": "host",
  "runtime frozen": "host",
  "runtime updated": "host",
  "event loop stalled": "host",
  "host paused": "host",
  "link unplugged": "lan",
  "link severed": "lan",
  "link deaf": "lan",
  "cut off from NATS": "mgmt",
  "LAN split": "split",
  "NATS killed": "nats",
  "functions killed": "functions",
  "bridge killed": "bridge",
  unschedulable: "ipnode",
  "stranger takes it": "address",
  "taken off by hand": "address",
  "ARP proxy": "proxy"
} as const
export type FaultName = keyof typeof faults
type Place = (typeof faults)[FaultName]

export interface Fault {
  readonly name: FaultName
  /** The node or the address that it is about; of a split, the nodes on the other side. */
  readonly of: ReadonlyArray<string>
}

/** A fault starts, or ends, so many milliseconds after the plan did. */
export interface Step {
  readonly at: number
  readonly fault: Fault
  readonly what: "starts" | "ends"
}

export interface PlanOptions {
  readonly seed: number
  readonly count: number
  readonly nodes: ReadonlyArray<string>
  readonly addresses: ReadonlyArray<string>
  /** The longest that a fault lasts; longer than the kernels keep an address. */
  readonly longestMillis: number
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export const randomOf = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** An update of a runtime is over soon: it leaves its addresses for five minutes, in which nobody speaks for them. */
const longest: { readonly [Name in FaultName]?: number } = {
  "runtime updated": 2_000,
  "event loop stalled": 500,
  "taken off by hand": 0
}
/** From the start of one fault to that of the next. */
const [leastGap, mostGap] = [100, 2_000]
const tries = 50

const slotOf = (place: Place, of: ReadonlyArray<string>): string =>
  place === "split" ? place : [place, ...of].join(" ")

/** Which faults start and end when. Nothing in it depends on what happens. */
export const planOf = ({
  seed,
  count,
  nodes,
  addresses,
  longestMillis
}: PlanOptions): ReadonlyArray<Step> => {
  const random = randomOf(seed)
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
  const names = Object.keys(faults) as ReadonlyArray<FaultName>
  /** Place → when it is free again */
  const busy = new Map<string, number>()
  const steps: Array<Step> = []
  const ofWhat = (place: Place): ReadonlyArray<string> => {
    if (place === "host" || place === "lan" || place === "mgmt" || place === "ipnode") return [pick(nodes)]
    if (place === "address") return [pick(addresses)]
    if (place !== "split") return []
    const other = nodes.filter(() => random() < 0.5)
    return other.length === 0 ? [pick(nodes)] : other
  }
  const choose = (at: number): readonly [Fault, slot: string] | undefined => {
    for (let attempt = 0; attempt < tries; attempt++) {
      const name = pick(names)
      const of = ofWhat(faults[name])
      const slot = slotOf(faults[name], of)
      if ((busy.get(slot) ?? 0) <= at) return [{ name, of }, slot]
    }
    return undefined
  }
  let at = 0
  for (let made = 0; made < count; ) {
    at += Math.round(leastGap + random() * (mostGap - leastGap))
    const chosen = choose(at)
    if (chosen === undefined) continue
    const [fault, slot] = chosen
    const most = longest[fault.name] ?? longestMillis
    // Many are short, some last longer than anything that is waited for.
    const lasts = Math.round(Math.min(most, 200 + random() ** 2 * most))
    steps.push({ at, fault, what: "starts" }, { at: at + lasts, fault, what: "ends" })
    // What ends in one moment with the start of the next one in its place comes first.
    busy.set(slot, at + lasts + 1)
    made++
  }
  return steps.toSorted((one, other) => one.at - other.at)
}

export const describe = ({ at, fault, what }: Step): string =>
  `${(at / 1000).toFixed(1)} s: ${[fault.name, ...fault.of].join(" ")} ${what}`
