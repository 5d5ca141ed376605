import { readFileSync } from "node:fs"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type OwnNatsServer, ownNatsServer } from "../../infra/local/index.ts"
import { type BridgeNews, runBridge } from "../../runtime/bridge/bridge.ts"
import type { FunctionDefinition } from "../../runtime/Function.ts"
import { type HostNews, type HostOptions, type HostState, runHost } from "../../runtime/host/host.ts"
import type { KindId } from "../../runtime/Kind.ts"
import { Accounts } from "./accounts.ts"
import { Cluster } from "./cluster.ts"
import { type NatsClient, natsClient } from "./natsClient.ts"
import type { Shared } from "./parts.ts"
import { type Program, startProgram } from "./programs.ts"
import { until } from "./until.ts"

/** Something of ours that runs inside the test's process. */
export interface Running<News> {
  /** What it has said so far. */
  readonly news: Array<News>
  /** As SIGTERM does: resolves when it has ended. */
  readonly stop: () => Promise<void>
}

export interface RunningHost extends Running<HostNews> {
  readonly state: HostState
  readonly ready: () => Promise<void>
}

/** The shared control plane, a nats-server of the file's own, and what is started on them. */
export class Stack {
  readonly cluster: Cluster
  readonly nats: OwnNatsServer
  /** The test's own connection. */
  readonly client: NatsClient
  readonly #accounts: Accounts
  readonly #scope: Scope.Closeable
  readonly #stops: Array<() => Promise<unknown>> = []

  private constructor(cluster: Cluster, nats: OwnNatsServer, client: NatsClient, scope: Scope.Closeable) {
    this.#accounts = new Accounts(cluster)
    this.cluster = cluster
    this.nats = nats
    this.client = client
    this.#scope = scope
  }

  static async open(shared: Shared, start = ownNatsServer()): Promise<Stack> {
    const scope = Scope.makeUnsafe()
    const nats = await Effect.runPromise(start.pipe(Scope.provide(scope)))
    return new Stack(
      await Cluster.open(shared),
      nats,
      await natsClient({ url: nats.url, name: "test" }, scope),
      scope
    )
  }

  /** A bridge inside this process. Resolves when everything is synced. */
  async bridge(kinds: ReadonlyArray<KindId>): Promise<Running<BridgeNews>> {
    const news: Array<BridgeNews> = []
    const scope = Scope.makeUnsafe()
    const nats = await natsClient({ url: this.nats.url, name: "test-bridge" }, scope)
    const run = (signal: AbortSignal) =>
      runBridge(
        {
          cluster: this.cluster.access,
          ...nats,
          kinds,
          leaseSeconds: 2,
          say: (one) => news.push(one),
          published: () => undefined
        },
        signal
      )
    const bridge = { news, stop: this.#running(run, scope) }
    await until(
      `the bridge to sync ${kinds.map(({ plural }) => plural).join(", ")}`,
      () => news.filter(({ _tag }) => _tag === "Synced").length >= kinds.length,
      { last: () => news.slice(-3) }
    )
    return bridge
  }

  /** A function host inside this process. Resolves when it is ready. */
  async host(
    functions: ReadonlyArray<FunctionDefinition<any>>,
    options: Partial<HostOptions> & { readonly waitUntilReady?: boolean } = {}
  ): Promise<RunningHost> {
    const news: Array<HostNews> = []
    const scope = Scope.makeUnsafe()
    const nats = await natsClient({ url: this.nats.url, name: "test-host" }, scope)
    const context = Context.empty() as Context.Context<never>
    let state: HostState | undefined
    const run = (signal: AbortSignal) =>
      runHost(
        {
          functions,
          ...nats,
          api: this.cluster.api,
          context,
          say: (one) => news.push(one),
          ...options
        },
        signal,
        (made) => {
          state = made
        }
      )
    const stop = this.#running(run, scope)
    const ready = async () => {
      await until("the function host to be ready", () => state?.isReady() ?? false, {
        last: () => news.slice(-3)
      })
    }
    if (options.waitUntilReady !== false) await ready()
    return { news, stop, ready, state: state! }
  }

  /**
   * `extip bridge` or `extip functions` as a process of its own, on this cluster and this NATS, under the account that
   * it has by the manifests. Functions of a test's own (`--from`) need what their test alone knows.
   */
  async program(name: "bridge" | "functions", args: ReadonlyArray<string> = []): Promise<Program> {
    const isOurs = !args.includes("--from")
    const kubeconfig = isOurs ? await this.#accounts.kubeconfigOf(`extip-${name}`) : this.cluster.kubeconfig
    const all = [name, "--kubeconfig", kubeconfig, "--nats", this.nats.as(name), ...args]
    const program = await startProgram(all, { LOG_LEVEL: "Debug" })
    this.#stops.push(() => program.kill("SIGKILL"))
    return program
  }

  /** Ends what of ours runs, the last first. */
  async end(): Promise<void> {
    for (const stop of this.#stops.splice(0).reverse()) await stop()
  }

  /** Ends what runs, and NATS. */
  async close(): Promise<void> {
    await this.end()
    const refused = this.violations
    await Effect.runPromise(Scope.close(this.#scope, Exit.void))
    this.#accounts.close()
    await this.cluster.close()
    // A permission that is missing need not make a test fail: it may just be slow.
    if (refused.length > 0) throw new Error(`NATS has refused what is needed: ${refused.join("; ")}`)
  }

  /** What NATS has refused so far because of missing permissions, as it has logged it. */
  get violations(): ReadonlyArray<string> {
    return violationsIn(this.nats.process.log)
  }

  #running(run: (signal: AbortSignal) => Promise<void>, scope: Scope.Closeable): () => Promise<void> {
    const controller = new AbortController()
    const running = run(controller.signal)
    running.catch(() => undefined)
    let ended: Promise<void> | undefined
    const stop = () =>
      (ended ??= (async () => {
        controller.abort()
        try {
          await running
        } finally {
          await Effect.runPromise(Scope.close(scope, Exit.void))
        }
      })())
    this.#stops.push(stop)
    return stop
  }
}

/** What a server has refused because of missing permissions, by its log. */
export const violationsIn = (log: string): ReadonlyArray<string> => {
  const said = readFileSync(log, "utf8").matchAll(
    /User "[^"]*", (?:Subject "[^"]*"|Publish|Subscription).*|(?:Publish|Subscription) Violation - .*/g
  )
  return [...new Set(Array.from(said, ([line]) => line.replace(/, JsDomain.*/, "")))]
}
