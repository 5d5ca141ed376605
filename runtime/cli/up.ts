import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import * as Console from "effect/Console"
import { Command, Flag } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { defaultSettings } from "../../functions/domain/settings.ts"
import { functions as ours } from "../../functions/index.ts"
import { freePorts } from "../../infra/local/files.ts"
import { controlPlane, localProgram, natsServer } from "../../infra/local/index.ts"
import { namespaceSupport } from "../../infra/local/namespaces.ts"
import { Misdeclared, requireOneKindEach } from "../Function.ts"
import { openCluster } from "../kube/access.ts"
import { httpApi } from "../kube/http.ts"
import { withoutPassword } from "../nats/connection.ts"
import { smallHeap } from "./heap.ts"
import { applyFile, kubectlIn } from "./kubectl.ts"
import { selectFunctions } from "./load.ts"
import { machines } from "./machines.ts"
import * as options from "./options.ts"
import { misdeclared } from "./process.ts"
import { tellStory } from "./tale.ts"

const root = join(dirname(fileURLToPath(import.meta.url)), "../..")
const main = join(root, "runtime/cli/main.js")

/** One of our own processes, with the flags that an administrator would give it. */
const startOurs = (name: "bridge" | "functions", args: ReadonlyArray<string>, directory: string) =>
  Effect.gen(function* () {
    const [port] = (yield* freePorts(1)) as [number]
    const health = `127.0.0.1:${port}`
    const isReady = Effect.promise(() =>
      fetch(`http://${health}/readyz`).then(
        (answer) => answer.ok,
        () => false
      )
    )
    const process_ = yield* localProgram({
      name: `extip ${name}`,
      path: process.execPath,
      args: [...smallHeap, main, name, "--http", health, ...args],
      log: join(directory, `${name}.log`),
      ready: isReady,
      readyWithinSeconds: 60
    })
    return { name, health, log: process_.log }
  })

/** Functions of the user's own. What is wrong with them is said before anything is started. */
const hostedBeside = (from: string) =>
  Effect.tryPromise({
    try: async () => {
      const all = await selectFunctions(ours(defaultSettings), from, undefined)
      requireOneKindEach(all)
      const names = all.slice(ours(defaultSettings).length).map(({ name }) => name)
      return { path: resolve(from), names: names.join(", ") }
    },
    catch: misdeclared
  })

export const up = Command.make(
  "up",
  {
    nodes: Flag.Int("nodes").pipe(
      Flag.withDefault(3),
      Flag.withDescription(
        "so many nodes, each in a network namespace of this machine; 2 to 80, or 0 for none"
      )
    ),
    from: options.from,
    exit: Flag.Boolean("exit").pipe(
      Flag.withDefault(false),
      Flag.withDescription("end after the story, with 0 only if every step held")
    )
  },
  Effect.fnUntraced(function* ({ nodes: count, from, exit }) {
    if (count !== 0 && (count < 2 || count > 80)) {
      return yield* Effect.fail(new Misdeclared(`--nodes ${count}: there are 2 to 80, or 0 for none`))
    }
    const own = Option.isSome(from) ? yield* hostedBeside(from.value) : undefined
    yield* Effect.gen(function* () {
      const say = (line: string) => console.log(line)
      const [cluster, nats] = yield* Effect.all([controlPlane({ say }), natsServer({ say })], {
        concurrency: 2
      })
      yield* Console.log(
        `Kubernetes ${cluster.version} at ${cluster.server}, NATS at ${withoutPassword(nats.url)}`
      )
      const kubectl = kubectlIn(cluster.kubectl, cluster.kubeconfig)
      yield* applyFile(kubectl, join(root, "infra/crds"))
      const logs = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "extip-logs-"))),
        (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
      )
      const argsOf = (name: "bridge" | "functions") => [
        ...["--kubeconfig", cluster.kubeconfig],
        ...["--nats", nats.as(name)],
        ...(own === undefined ? [] : ["--from", own.path])
      ]
      const start = (name: "bridge" | "functions") => startOurs(name, argsOf(name), logs)
      const running = yield* Effect.all([start("bridge"), start("functions")], { concurrency: 2 })
      for (const { name, health, log } of running)
        yield* Console.log(`extip ${name}: http://${health}/metrics, log ${log}`)
      if (own !== undefined) yield* Console.log(`beside our functions, of ${own.path}: ${own.names}`)
      const support = count === 0 ? undefined : namespaceSupport()
      if (support?.how === "unavailable") {
        yield* Console.log(`no nodes: this machine lets us have no network namespaces, ${support.reason}`)
      }
      const lan =
        support === undefined || support.how === "unavailable"
          ? undefined
          : yield* machines({ count, nats, directory: logs })
      for (const { name, log } of lan?.nodes ?? []) yield* Console.log(`extip node ${name}: log ${log}`)
      const api = httpApi(yield* openCluster(cluster.kubeconfig))
      yield* tellStory({
        api,
        kubectl,
        natsUrl: nats.as("reader"),
        examples: join(root, "infra/examples"),
        lan
      })
      if (exit) return
      yield* Console.log(`
It stays up until Ctrl-C. To play with it, in another shell:

  export KUBECONFIG=${cluster.kubeconfig}
  export NATS_URL=${nats.as("reader")}
  alias kubectl=${cluster.kubectl}

That is who may read. For extip parked retry and drop:

  export NATS_URL=${nats.url}
`)
      return yield* Effect.never
    }).pipe(Effect.scoped)
  })
).pipe(Command.withDescription("a cluster on this machine, and the story of one Service"))
