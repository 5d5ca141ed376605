import { type ChildProcess, spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type OwnNatsServer, ownNatsServer } from "../../infra/local/index.ts"
import { type BridgeNews, type BridgeOptions, runBridge } from "../../runtime/bridge/bridge.ts"
import type { KindId } from "../../runtime/Kind.ts"
import { readIncarnation } from "../../runtime/nats/streams.ts"
import { Cluster } from "./cluster.ts"
import { agrees, type Compared, type Logged } from "./compare.ts"
import { type NatsClient, natsClient } from "./natsClient.ts"
import type { Shared } from "./parts.ts"
import { until } from "./until.ts"
import { ConfigMaps } from "./writes.ts"

type Settings = Partial<Pick<BridgeOptions, "cluster" | "kinds" | "leaseSeconds" | "dedupeSeconds" | "times">>

/** What `bridge.fixture.ts` is told. */
export interface ChildSettings extends Omit<Settings, "cluster"> {
  readonly kubeconfig: string
  readonly nats: string
  readonly kinds: ReadonlyArray<KindId>
}

/** A bridge that runs: inside the test's process, or as a process of its own. */
export class Running {
  readonly news: Array<BridgeNews> = []
  readonly stop: () => Promise<unknown>

  constructor(stop: () => Promise<unknown>) {
    this.stop = stop
  }

  count(tag: BridgeNews["_tag"]): number {
    return this.news.filter((news) => news._tag === tag).length
  }

  /** Waits until it has said so, as often as given. */
  async says<T extends BridgeNews["_tag"]>(tag: T, times = 1, seconds = 20) {
    const found = () => this.news.filter((news) => news._tag === tag)
    await until(`the bridge to say ${tag}, ${times} times`, () => found().length >= times, {
      seconds,
      last: () => this.news.slice(-6)
    })
    return found().at(-1) as Extract<BridgeNews, { readonly _tag: T }>
  }
}

export class RunningChild extends Running {
  readonly child: ChildProcess

  constructor(child: ChildProcess) {
    super(() => this.kill("SIGTERM"))
    this.child = child
    createInterface({ input: child.stdout! }).on("line", (line) => this.news.push(JSON.parse(line)))
  }

  signal(signal: NodeJS.Signals): void {
    this.child.kill(signal)
  }

  /** Sends the signal and waits for its end. */
  async kill(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once("exit", resolve))
    this.child.kill(signal)
    await ended
  }
}

/** A control plane, a nats-server of the file's own, and the bridges that are started between them. */
export class BridgeRig {
  readonly cluster: Cluster
  readonly nats: OwnNatsServer
  /** The test's own connection. */
  readonly client: NatsClient
  readonly #scope: Scope.Closeable
  readonly #running = new Set<Running>()

  private constructor(cluster: Cluster, nats: OwnNatsServer, client: NatsClient, scope: Scope.Closeable) {
    this.cluster = cluster
    this.nats = nats
    this.client = client
    this.#scope = scope
  }

  static async open(on: Pick<Shared, "kubeconfig" | "kubectl">): Promise<BridgeRig> {
    const scope = Scope.makeUnsafe()
    const nats = await Effect.runPromise(ownNatsServer().pipe(Scope.provide(scope)))
    return new BridgeRig(
      await Cluster.open(on),
      nats,
      await natsClient({ url: nats.url, name: "test" }, scope),
      scope
    )
  }

  /** A bridge inside this process. */
  async start(settings: Settings = {}): Promise<Running> {
    const scope = Scope.makeUnsafe()
    const nats = await natsClient({ url: this.nats.url, name: "bridge" }, scope)
    const stopped = new AbortController()
    const running = new Running(async () => {
      this.#running.delete(running)
      stopped.abort()
      await run
      await Effect.runPromise(Scope.close(scope, Exit.void))
    })
    const run = runBridge(
      {
        ...nats,
        cluster: this.cluster.access,
        kinds: [ConfigMaps],
        leaseSeconds: 2,
        ...settings,
        say: (one) => running.news.push(one),
        published: () => undefined
      },
      stopped.signal
    )
    this.#running.add(running)
    return running
  }

  /** A bridge in a process of its own, connected to NATS by the port given. */
  spawn(settings: Settings = {}, port = this.nats.port): RunningChild {
    const { cluster: _, ...rest } = settings
    const child: ChildSettings = {
      kubeconfig: this.cluster.kubeconfig,
      nats: this.nats.as("bridge", `127.0.0.1:${port}`),
      kinds: [ConfigMaps],
      leaseSeconds: 2,
      ...rest
    }
    const fixture = fileURLToPath(new URL("bridge.fixture.ts", import.meta.url))
    const running = new RunningChild(
      spawn(process.execPath, [fixture, JSON.stringify(child)], { stdio: ["pipe", "pipe", "inherit"] })
    )
    this.#running.add(running)
    return running
  }

  /** The bucket holds what the API server holds, and the log is in order; see `compare.ts`. */
  agrees(what: Partial<Compared> = {}): Promise<ReadonlyArray<Logged>> {
    return agrees({ cluster: this.cluster, js: this.client.js, kinds: [ConfigMaps], ...what })
  }

  /** The log's last sequence. */
  async lastSequence(): Promise<number> {
    return (await readIncarnation(this.client.jsm))?.lastSequence ?? 0
  }

  /** Ends every bridge: the next test starts its own. */
  async stopAll(): Promise<void> {
    for (const running of [...this.#running]) {
      if (running instanceof RunningChild) running.signal("SIGCONT")
      await running.stop()
      this.#running.delete(running)
    }
  }

  async close(): Promise<void> {
    await this.stopAll()
    await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    await this.cluster.close()
  }
}
