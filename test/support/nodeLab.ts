import { rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { headers } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import { IpClaim } from "../../functions/domain/kinds.ts"
import { smallHeap } from "../../runtime/cli/heap.ts"
import { claimKeyOf } from "../../runtime/fleet/messages.ts"
import { repository } from "./cluster.ts"
import { expectNoHolder, expectOneHolder, type HolderOptions, holdersNow } from "./lan/holders.ts"
import { type HostProgram, Lan } from "./lan.ts"
import type { Shared } from "./parts.ts"
import type { Program } from "./programs.ts"
import { Stack } from "./stack.ts"
import { until } from "./until.ts"

const main = join(repository, "runtime/cli/main.js")

export interface NodeLabOptions {
  readonly nodes?: number
  /** Of addresses in the kernel; short, so that a test of what happens after it is short. */
  readonly lifetimeMillis?: number
  /** The functions that run; those of the nodes by default. */
  readonly only?: string
  /** How many function hosts. */
  readonly hosts?: number
  /** Of the function hosts, besides. */
  readonly hostArgs?: ReadonlyArray<string>
}

/** Where a node's runtime serves its metrics, on the node. */
const nodePort = 9464

let labs = 0

/** Many at a time, as a controller does. */
const each = async <A>(all: ReadonlyArray<A>, run: (one: A) => Promise<unknown>): Promise<void> => {
  const left = all.values()
  const work = async () => {
    for (const one of left) await run(one)
  }
  await Promise.all(Array.from({ length: 32 }, work))
}

/** The whole of extip around the laboratory: bridge and functions as processes, a runtime on each node. */
export class NodeLab {
  readonly stack: Stack
  readonly lan: Lan
  bridge!: Program
  readonly hosts: Array<Program> = []
  /** Node → its runtime, as long as it runs */
  readonly runtimes = new Map<string, HostProgram>()
  readonly #options: Required<NodeLabOptions>
  readonly #nats: string
  readonly #id = `${process.pid}-${++labs}`

  private constructor(stack: Stack, lan: Lan, nats: string, options: Required<NodeLabOptions>) {
    this.stack = stack
    this.lan = lan
    this.#nats = nats
    this.#options = options
  }

  static async open(shared: Shared, options: NodeLabOptions = {}): Promise<NodeLab> {
    const nodes = options.nodes ?? 3
    const [stack, lan] = await Promise.all([Stack.open(shared), Lan.open({ nodes })])
    const nats = await lan.letOut(stack.nats.port)
    const lab = new NodeLab(stack, lan, nats, {
      nodes,
      lifetimeMillis: options.lifetimeMillis ?? 4_000,
      only: options.only ?? "assign-on-claim,record-on-bind,record-on-join",
      hosts: options.hosts ?? 1,
      hostArgs: options.hostArgs ?? []
    })
    // They wait for NATS to have what they need, which the function hosts make.
    for (const node of lan.nodes) lab.startNode(node)
    await stack.cluster.applyCrds()
    await stack.cluster.deleteAll(IpClaim)
    const hosts = Array.from({ length: lab.#options.hosts }, () => lab.startHost())
    await Promise.all([lab.startBridge(), ...hosts])
    await lab.ready()
    return lab
  }

  async startBridge(): Promise<void> {
    this.bridge = await this.stack.program("bridge", ["--lease-seconds", "2"])
  }

  async startHost(): Promise<Program> {
    const only = this.#options.only === "" ? [] : ["--only", this.#options.only]
    const host = await this.stack.program("functions", [...only, ...this.#options.hostArgs])
    this.hosts.push(host)
    return host
  }

  /** Kills the function hosts, and starts as many. */
  async replaceHosts(signal: NodeJS.Signals): Promise<void> {
    const before = this.hosts.splice(0)
    await Promise.all(before.map((host) => host.kill(signal)))
    for (const _ of before) await this.startHost()
  }

  startNode(node: string, more: ReadonlyArray<string> = []): HostProgram {
    const runtime = this.lan.spawn(
      node,
      process.execPath,
      [
        ...smallHeap,
        main,
        "node",
        ...["--nats", this.stack.nats.as("node", this.#nats), "--name", node, "--slice", this.#sliceOf(node)],
        ...["--http", `127.0.0.1:${nodePort}`, "--lifetime-millis", String(this.#options.lifetimeMillis)],
        ...more
      ],
      {
        LOG_LEVEL: "Debug",
        NODE_COMPILE_CACHE: join(repository, "node_modules/.cache/extip"),
        KUBECONFIG: "/nowhere"
      }
    )
    this.runtimes.set(node, runtime)
    return runtime
  }

  async killNode(node: string, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const runtime = this.runtimes.get(node)
    this.runtimes.delete(node)
    await runtime?.kill(signal)
  }

  /** The host is gone: its cables, and everything on it. */
  async powerCut(node: string): Promise<void> {
    this.runtimes.delete(node)
    await this.lan.powerCut(node)
  }

  /** Its memory file system is empty after that. */
  async powerOn(node: string): Promise<void> {
    rmSync(this.#sliceOf(node), { force: true })
    await this.lan.powerOn(node)
    this.startNode(node)
  }

  #sliceOf(node: string): string {
    return join(tmpdir(), `extip-slice-${this.#id}-${node}.json`)
  }

  /** Every runtime that runs is known to the functions, and knows what is assigned to it. */
  async ready(): Promise<void> {
    await this.bridge.ready()
    for (const host of this.hosts) await host.ready()
    await this.natsSees((nodes) => [...this.runtimes.keys()].every((node) => nodes.has(node)))
    await until("all slices to be whole", async () => {
      for (const node of this.runtimes.keys())
        if (!(await this.keys(node)).includes("_complete")) return false
      return true
    })
  }

  /** Waits for the bucket `nodes` to hold just what is asked for. */
  async natsSees(holds: (nodes: ReadonlySet<string>) => boolean): Promise<void> {
    const { jsm } = this.stack.client
    await until("the bucket nodes", async () => {
      const { state } = await jsm.streams.info("KV_nodes", { subjects_filter: "$KV.nodes.*" })
      return holds(new Set(Object.keys(state.subjects ?? {}).map((subject) => subject.split(".")[2]!)))
    })
  }

  /** The keys of a node's slice. */
  async keys(node: string): Promise<ReadonlyArray<string>> {
    const { jsm } = this.stack.client
    const { state } = await jsm.streams.info("KV_assignments", {
      subjects_filter: `$KV.assignments.${node}.*`
    })
    return Object.keys(state.subjects ?? {}).map((subject) => subject.split(".")[3]!)
  }

  /** `10.77.1.0`, `10.77.1.1`, … */
  address(index: number): string {
    return `10.77.${1 + (index >> 8)}.${index & 255}`
  }

  addresses(count: number, from = 0): ReadonlyArray<string> {
    return Array.from({ length: count }, (_, index) => this.address(from + index))
  }

  /** Claims addresses, as the functions do that give them to Services. */
  async claim(addresses: ReadonlyArray<string>, spec: object = {}): Promise<void> {
    await each(addresses, async (address) => {
      const name = claimKeyOf(address)
      await this.stack.cluster.create(IpClaim, {
        metadata: { name },
        spec: { cidr: `${address}/${address.includes(":") ? 128 : 32}`, ...spec }
      })
    })
  }

  async free(addresses: ReadonlyArray<string>): Promise<void> {
    await each(addresses, async (address) => {
      const name = claimKeyOf(address)
      await this.stack.cluster.delete(IpClaim, { namespace: "", name })
    })
  }

  /** The node that a claim's status names as the holder. */
  async nodeOf(address: string): Promise<string | undefined> {
    const claim = await this.stack.cluster.get(IpClaim, { namespace: "", name: claimKeyOf(address) })
    return claim?.status?.phase === "Bound" ? claim.status.node : undefined
  }

  /** Who holds each, by the frames on the wire and by the kernels. */
  async holders(addresses: ReadonlyArray<string>): Promise<ReadonlyMap<string, ReadonlyArray<string>>> {
    const now = await holdersNow(this.lan, addresses, "a")
    return new Map(now.map(({ address, inKernel }) => [address, inKernel]))
  }

  /** Each has exactly one holder, which is the one that its claim names. */
  async settled(addresses: ReadonlyArray<string>, options: HolderOptions = {}): Promise<void> {
    await this.held(addresses, options)
    await expectOneHolder(this.lan, addresses, {
      // A status is a write of its own, and an API server that shares the cores takes some 200 of them a second.
      seconds: 15 + addresses.length / 100,
      named: addresses.length > 50 ? this.#namedByList() : (address) => this.nodeOf(address),
      ...options
    })
  }

  /** As `nodeOf`, for many: all claims are listed at once, and anew after half a second. */
  #namedByList(): (address: string) => Promise<string | undefined> {
    let listed = Promise.resolve(new Map<string, string>())
    let at = Number.NEGATIVE_INFINITY
    return async (address) => {
      if (performance.now() - at > 500) {
        at = performance.now()
        listed = this.stack.cluster
          .list(IpClaim)
          .then(
            (claims) =>
              new Map(
                claims
                  .filter(({ status }) => status?.phase === "Bound")
                  .map(({ metadata, status }) => [metadata.name, status.node])
              )
          )
      }
      return (await listed).get(claimKeyOf(address))
    }
  }

  /** As `settled`, while the API server or NATS is away: by the wire and the kernels alone. */
  async held(addresses: ReadonlyArray<string>, options: HolderOptions = {}): Promise<void> {
    await expectOneHolder(this.lan, addresses, { seconds: 15, ...options })
  }

  /** A node no longer has any of them. */
  async movedOff(node: string, addresses: ReadonlyArray<string>, seconds = 15): Promise<void> {
    const hasLeft = async () => {
      const holders = await this.holders(addresses)
      return addresses.every((address) => holders.get(address)?.includes(node) === false)
    }
    await until(`the addresses to have left ${node}`, hasLeft, { seconds })
  }

  /** Each of them has been seen by its standby: from now on it is taken over when its holder is silent. */
  async watched(addresses: ReadonlyArray<string>, seconds = 30): Promise<void> {
    const seen = async () => {
      const counts = await Promise.all(
        Array.from(this.runtimes.keys(), (node) => this.gauge(node, "extip_addresses_seen"))
      )
      return counts.reduce((sum, count) => sum + count, 0)
    }
    const last = async () => `${await seen()} of ${addresses.length}`
    const isSeen = async () => (await seen()) >= addresses.length
    await until("the standbys to have seen every address", isSeen, { seconds, last })
  }

  /** A number on the page /metrics of a node's runtime. */
  async gauge(node: string, name: string): Promise<number> {
    const url = `http://${await this.lan.letIn(node, nodePort)}/metrics`
    const page = await (await fetch(url, { signal: AbortSignal.timeout(2_000) })).text()
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, "m").exec(page)?.[1] ?? Number.NaN)
  }

  /** The node that stands by for an address. */
  async standbyOf(address: string): Promise<string | undefined> {
    const name = claimKeyOf(address)
    for (const node of this.lan.nodes) {
      const key = await this.stack.client.jsm.direct.getMessage("KV_assignments", {
        last_by_subj: `$KV.assignments.${node}.${name}`
      })
      if (key !== null && key.data.length > 0 && key.json<{ role: string }>().role === "standby") return node
    }
    return undefined
  }

  /** How long the kernels keep an address that is not renewed. */
  get lifetimeMillis(): number {
    return this.#options.lifetimeMillis
  }

  async natsDies(): Promise<void> {
    await Effect.runPromise(this.stack.nats.process.kill("SIGKILL"))
  }

  async natsRestarts(): Promise<void> {
    await this.natsDies()
    await Effect.runPromise(this.stack.nats.process.start)
  }

  async hostsDie(): Promise<void> {
    await Promise.all(this.hosts.splice(0).map((host) => host.kill("SIGKILL")))
  }

  /** NATS, the functions and the bridge, in one moment. */
  async everythingElseDies(): Promise<void> {
    await Promise.all([this.natsDies(), this.hostsDie(), this.bridge.kill("SIGKILL")])
  }

  /** Whatever was killed runs again, and knows of the rest. */
  async mendAll(): Promise<void> {
    // Starts it if it does not run.
    await Effect.runPromise(this.stack.nats.process.start)
    if (this.bridge.hasEnded()) await this.startBridge()
    while (this.hosts.length < this.#options.hosts) await this.startHost()
    for (const node of this.lan.nodes) {
      if (!this.lan.isOn(node)) await this.powerOn(node)
      else if (this.runtimes.get(node)?.hasEnded() ?? true) this.startNode(node)
    }
    await this.ready()
  }

  /** From now on the addresses are pinged, each 10 ms; of many, 50 of them each 50 ms. */
  async ping(addresses: ReadonlyArray<string>): Promise<void> {
    const every = Math.max(1, Math.floor(addresses.length / 50))
    this.#pinged = addresses.filter((_, index) => index % every === 0)
    await this.lan.observer.watch(this.#pinged, { pingEveryMillis: addresses.length > 50 ? 50 : 10 })
  }
  #pinged: ReadonlyArray<string> = []

  /** Each ping since then has been answered. */
  async noPingLost(mark: number): Promise<void> {
    const pings = await this.lan.observer.pingsOf(this.#pinged, mark)
    const lost = [...pings].filter(([, pinged]) => pinged.lost > 0)
    if (lost.length > 0) throw new Error(`pings lost: ${JSON.stringify(lost.slice(0, 5))}`)
  }

  /** Nobody has any of them. */
  async gone(addresses: ReadonlyArray<string>): Promise<void> {
    await until("the addresses to be on no link", async () => {
      await expectNoHolder(this.lan, addresses)
      return true
    })
  }

  /** A report of a node, as of somebody who has its credentials. */
  async publish(subject: string, body: object): Promise<void> {
    await this.stack.client.js.publish(subject, JSON.stringify(body), { headers: headers() })
  }

  /** What the runtimes and the hosts have printed, for a test that failed. */
  logs(): string {
    const of = (name: string, log: string) => `--- ${name}\n${log.split("\n").slice(-40).join("\n")}`
    return [
      of("bridge", this.bridge.log()),
      ...this.hosts.map((host, index) => of(`functions ${index}`, host.log())),
      ...Array.from(this.runtimes, ([node, runtime]) => of(node, runtime.log()))
    ].join("\n")
  }

  /** One by one: for thousands, one request takes the API server longer than it is waited for. */
  async #freeAll(): Promise<void> {
    const claims = await this.stack.cluster.list(IpClaim)
    await each(claims, ({ metadata }) =>
      this.stack.cluster.delete(IpClaim, { namespace: "", name: metadata.name }).catch(() => undefined)
    )
  }

  async close(): Promise<void> {
    await this.#freeAll()
    for (const node of this.lan.nodes) rmSync(this.#sliceOf(node), { force: true })
    await this.lan.close()
    await this.stack.close()
  }
}
