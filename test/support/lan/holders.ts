import type { Side } from "../../../infra/local/cables.ts"
import type { Lan } from "../lan.ts"
import { until } from "../until.ts"

/** Who holds an address on one side of the LAN. */
export interface Holders {
  readonly address: string
  readonly side: Side
  /** Hosts, or MACs of no host, that answer for it. */
  readonly onWire: ReadonlyArray<string>
  /** Nodes that can be reached on that side and have it on `eth0`. */
  readonly inKernel: ReadonlyArray<string>
}

export interface HolderOptions {
  /** The sides that must have a holder; by default all that there are just now. */
  readonly sides?: ReadonlyArray<Side>
  /** The node that must be the holder: what the claim's status says. */
  readonly named?: (address: string) => Promise<string | undefined> | string | undefined
  /** How long it may take until it is so; 0 by default: it has to be so now. */
  readonly seconds?: number
}

/** The addresses on a host's link on the LAN. */
export const addressesOn = async (lan: Lan, host: string): Promise<ReadonlySet<string>> => {
  const [link] = JSON.parse(await lan.run(host, "ip", "-j", "addr", "show", "dev", "eth0"))
  return new Set((link.addr_info as ReadonlyArray<{ local: string }>).map(({ local }) => local))
}

/** Asks the wire and the kernels, at once. */
export const holdersNow = async (
  lan: Lan,
  addresses: ReadonlyArray<string>,
  side: Side
): Promise<ReadonlyArray<Holders>> => {
  const nodes = lan.nodes.filter((node) => lan.isReachable(node) && lan.sideOf(node) === side)
  const [answers, ...kernels] = await Promise.all([
    lan.observer.ask(addresses, side),
    ...nodes.map((node) => addressesOn(lan, node))
  ])
  return addresses.map((address) => ({
    address,
    side,
    onWire: (answers.get(address) ?? []).map((mac) => lan.hostOf(mac) ?? mac).toSorted(),
    inKernel: nodes.filter((_, index) => kernels[index]!.has(address)).toSorted()
  }))
}

const list = (names: ReadonlyArray<string>) => (names.length === 0 ? "nobody" : names.join(" and "))

const complaint = async (
  { address, side, onWire, inKernel }: Holders,
  isSplit: boolean,
  named: HolderOptions["named"]
): Promise<string | undefined> => {
  const where = isSplit ? ` on side ${side}` : ""
  const name = await named?.(address)
  const wrong: Array<string> = []
  if (onWire.length !== 1) wrong.push(`answered by ${list(onWire)}`)
  if (inKernel.length !== 1) wrong.push(`on the link of ${list(inKernel)}`)
  if (wrong.length === 0 && onWire[0] !== inKernel[0])
    wrong.push(`answered by ${list(onWire)}, and on the link of ${list(inKernel)}`)
  if (named !== undefined && name !== onWire[0])
    wrong.push(`answered by ${list(onWire)}, where ${name ?? "nobody"} is named`)
  return wrong.length === 0 ? undefined : `${address}${where}: ${wrong.join("; ")}`
}

const shown = 10

/**
 * Each address has exactly one holder: one machine answers for it, asked now; one node's kernel has it; they are the
 * same, and it is the one that is named. While the LAN is split, on each side. The observer has lost no frame.
 */
export const expectOneHolder = async (
  lan: Lan,
  addresses: ReadonlyArray<string>,
  options: HolderOptions = {}
): Promise<void> => {
  const look = async (): Promise<ReadonlyArray<string>> => {
    const sides = options.sides ?? (lan.isSplit ? (["a", "b"] as const) : (["a"] as const))
    const complaints: Array<string> = []
    for (const side of sides) {
      for (const one of await holdersNow(lan, addresses, side)) {
        const said = await complaint(one, lan.isSplit, options.named)
        if (said !== undefined) complaints.push(said)
      }
    }
    await lan.observer.expectNothingLost()
    return complaints
  }
  let complaints: ReadonlyArray<string> = []
  const isRight = async () => {
    complaints = await look()
    return complaints.length === 0
  }
  const told = () => {
    const rest = complaints.length > shown ? [`and ${complaints.length - shown} more`] : []
    return ["not exactly one holder each:", ...complaints.slice(0, shown), ...rest].join("\n  ")
  }
  if (await isRight()) return
  if (options.seconds === undefined) throw new Error(told())
  await until("each address to have one holder", isRight, { seconds: options.seconds }).catch(() => {
    throw new Error(`after ${options.seconds} s ${told()}`)
  })
}

/** Nobody answers for any of them, and no node's kernel has one. */
export const expectNoHolder = async (lan: Lan, addresses: ReadonlyArray<string>): Promise<void> => {
  const sides = lan.isSplit ? (["a", "b"] as const) : (["a"] as const)
  for (const side of sides) {
    for (const { address, onWire, inKernel } of await holdersNow(lan, addresses, side)) {
      if (onWire.length === 0 && inKernel.length === 0) continue
      throw new Error(`${address}: answered by ${list(onWire)}, on the link of ${list(inKernel)}`)
    }
  }
}
