import { readFileSync } from "node:fs"
import { IpClaimPool, Namespace, Service } from "../../functions/domain/kinds.ts"
import { claimKeyOf } from "../../runtime/fleet/messages.ts"
import { nowMillis } from "../support/lan/remote.ts"
import { NodeLab } from "../support/nodeLab.ts"
import type { Shared } from "../support/parts.ts"
import { until } from "../support/until.ts"
import { type Figure, median, percentile, round } from "./figures.ts"

type Add = (figure: Figure) => void
type OwnPlane = Pick<Shared, "kubeconfig" | "kubectl">

const namespace = "wire"
const everything = { only: "", lifetimeMillis: 10_000 }

/** From `kubectl annotate` to the first ARP request on the LAN that is answered; asked every 2 ms. */
const annotated = async (lab: NodeLab, runs: number, samples: number, add: Add): Promise<void> => {
  const { cluster } = lab.stack
  await cluster.namespace(namespace)
  await cluster.create(IpClaimPool, { metadata: { name: "wire" }, spec: { cidr: "10.77.128.0/17" } })
  const p50: Array<number> = []
  const p99: Array<number> = []
  for (let run = 0; run < runs; run++) {
    const millis: Array<number> = []
    for (let sample = 0; sample < samples; sample++) {
      const index = 1 + run * samples + sample
      // The lowest free one is given first.
      const address = `10.77.${128 + (index >> 8)}.${index & 255}`
      const name = `s${index}`
      const spec = { ports: [{ port: 80, protocol: "TCP" }], selector: { app: name } }
      await cluster.create(Service, { metadata: { namespace, name }, spec })
      await lab.lan.observer.watch([address], { pingEveryMillis: 0, askEveryMillis: 2 })
      const start = nowMillis()
      const metadata = { annotations: { "external-ip": "auto" } }
      await cluster.patch(Service, { namespace, name }, { metadata })
      const answer = await until(`an answer for ${address}`, async () =>
        (await lab.lan.observer.answersOf(address, start)).at(0)
      )
      millis.push(answer.first - start)
      await lab.lan.observer.unwatch([address])
    }
    p50.push(percentile(millis, 0.5))
    p99.push(percentile(millis, 0.99))
  }
  const [half, most] = [median(p50), median(p99)]
  add({
    what: `annotate → ARP request answered, idle, ${runs} runs of ${samples}`,
    measured: `P50 ${round(half)} ms, P99 ${round(most)} ms`,
    atLeast: "P50 < 130 ms, P99 < 350 ms",
    holds: half < 130 && most < 350,
    values: { p50: half, p99: most }
  })
}

/** The longest time without an answer while the host of a node is lost, over a sample of the addresses it had. */
const lost = async (
  lab: NodeLab,
  addresses: ReadonlyArray<string>,
  withEverything: boolean
): Promise<number> => {
  const holders = await lab.holders(addresses)
  const node = holders.get(addresses[0]!)![0]!
  const had = addresses.filter((address) => holders.get(address)![0] === node)
  const sample = had.filter((_, index) => index % Math.ceil(had.length / 50) === 0)
  await lab.lan.observer.watch(sample, { pingEveryMillis: 0, askEveryMillis: had.length > 50 ? 50 : 10 })
  await new Promise((resolve) => setTimeout(resolve, 500))
  const mark = lab.lan.observer.mark()
  if (withEverything) await Promise.all([lab.everythingElseDies(), lab.powerCut(node)])
  else await lab.powerCut(node)
  await lab.held(addresses, { seconds: 60 })
  const asked = await lab.lan.observer.asksOf(sample, mark)
  await lab.lan.observer.unwatch(sample)
  await lab.mendAll()
  await lab.settled(addresses, { seconds: 120 })
  await lab.watched(addresses, 120)
  return Math.max(...[...asked.values()].map(({ longestGapMillis }) => longestGapMillis))
}

const failover = async (plane: OwnPlane, many: number, times: number, add: Add): Promise<void> => {
  for (const [count, limit] of [
    [1, 1.5],
    [many, 2.5]
  ] as const) {
    const lab = await NodeLab.open(plane as Shared, { lifetimeMillis: 10_000 })
    try {
      const addresses = lab.addresses(count)
      await lab.claim(addresses)
      await lab.settled(addresses, { seconds: 180 })
      await lab.watched(addresses, 120)
      const seconds: { [which: string]: ReadonlyArray<number> } = {}
      for (const withEverything of [false, true]) {
        const measured: Array<number> = []
        for (let time = 0; time < times; time++) {
          measured.push((await lost(lab, addresses, withEverything)) / 1000)
        }
        seconds[withEverything ? "all" : "alone"] = measured
      }
      const [alone, all] = [seconds["alone"]!, seconds["all"]!]
      const worst = Math.max(...alone, ...all)
      add({
        what: `host lost → answered by another node, ${count} of ${count === 1 ? "one" : "three nodes'"} (alone / with NATS, functions and bridge), ${times} times each`,
        measured: `${round(median(alone), 2)} s / ${round(median(all), 2)} s, worst ${round(worst, 2)} s`,
        atLeast: `< ${limit} s`,
        holds: worst < limit,
        values: { alone: median(alone), all: median(all), worst }
      })
    } finally {
      await lab.close()
    }
  }
}

/** Clock ticks (10 ms) of CPU that a process has used. */
const cpuMillis = (pid: number): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const restarts = async (plane: OwnPlane, add: Add): Promise<void> => {
  const lab = await NodeLab.open(plane as Shared, { lifetimeMillis: 10_000 })
  try {
    const addresses = lab.addresses(50)
    await lab.claim(addresses)
    await lab.settled(addresses)
    await lab.watched(addresses)
    await lab.lan.observer.watch(addresses, { pingEveryMillis: 10 })
    const before = await lab.holders(addresses)
    const mark = lab.lan.observer.mark()
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      for (const node of lab.lan.nodes) {
        await lab.killNode(node, signal)
        lab.startNode(node)
        await lab.ready()
      }
    }
    await lab.settled(addresses)
    const pings = await lab.lan.observer.pingsOf(addresses, mark)
    const after = await lab.holders(addresses)
    const moved = addresses.filter((address) => before.get(address)![0] !== after.get(address)![0]).length
    const [sentPings, lostPings] = [...pings.values()].reduce(
      ([sent, gone], one) => [sent + one.sent, gone + one.lost],
      [0, 0]
    )
    add({
      what: "each runtime stopped and started, then killed with -9 and started: 50 addresses pinged each 10 ms",
      measured: `${lostPings} of ${sentPings} pings lost, ${moved} moved`,
      atLeast: "0 pings lost, nothing moved",
      holds: lostPings === 0 && moved === 0,
      values: { lostPings, sentPings, moved }
    })
  } finally {
    await lab.close()
  }
}

/** One node with a thousand addresses: how long it takes to put them on its link, and what it costs to keep them. */
const thousand = async (plane: OwnPlane, count: number, add: Add): Promise<void> => {
  const lab = await NodeLab.open(plane as Shared, { lifetimeMillis: 10_000 })
  try {
    const addresses = lab.addresses(count)
    await lab.claim(addresses, { nodeName: "n1" })
    await lab.settled(addresses, { seconds: 120 })
    const { jsm } = lab.stack.client
    const timeOf = async (subject: string) => {
      const message = await jsm.direct.getMessage("NODE", { last_by_subj: subject })
      return message === null ? 0 : message.time.getTime()
    }
    const seconds: Array<number> = []
    for (let time = 0; time < 3; time++) {
      await lab.powerCut("n1")
      await lab.powerOn("n1")
      await lab.held(addresses, { seconds: 60 })
      const hydrated = await timeOf("node.n1._inventory")
      const last = await until(`${count} reports`, async () => {
        const times = await Promise.all(
          addresses.map((address) => timeOf(`node.n1.${claimKeyOf(address)}.bound`))
        )
        return times.every((at) => at >= hydrated) ? Math.max(...times) : undefined
      })
      seconds.push((last - hydrated) / 1000)
    }
    add({
      what: `${count} assignments, from hydrated → all bound and announced, 3 times`,
      measured: `${round(median(seconds), 2)} s`,
      atLeast: "< 1 s",
      holds: median(seconds) < 1,
      values: { seconds: median(seconds) }
    })
    const { pid } = lab.runtimes.get("n1")!
    const [start, before] = [performance.now(), cpuMillis(pid)]
    await new Promise((resolve) => setTimeout(resolve, 20_000))
    const share = (cpuMillis(pid) - before) / (performance.now() - start)
    const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]
    const megabytes = Math.round(Number(kilobytes) / 1000)
    add({
      what: `node runtime with ${count} addresses, at rest`,
      measured: `${megabytes} MB, ${round(share * 100)} % of a core`,
      atLeast: "< 150 MB, < 4 %",
      holds: megabytes < 150 && share < 0.04,
      values: { megabytes, share }
    })
  } finally {
    await lab.close()
  }
}

/** The figures of what happens on the wire, on nodes in network namespaces. */
export const wireFigures = async (plane: OwnPlane, scale: number, add: Add): Promise<void> => {
  const lab = await NodeLab.open(plane as Shared, everything)
  try {
    await annotated(lab, 3, Math.max(10, Math.round(100 * scale)), add)
  } finally {
    await lab.stack.cluster.deleteAll(Service, namespace)
    await lab.stack.cluster.delete(IpClaimPool, { namespace: "", name: "wire" })
    await lab.stack.cluster.delete(Namespace, { namespace: "", name: namespace }).catch(() => undefined)
    await lab.close()
  }
  await failover(plane, Math.max(100, Math.round(5_000 * scale)), 3, add)
  await restarts(plane, add)
  await thousand(plane, Math.round(1_000 * scale), add)
}
