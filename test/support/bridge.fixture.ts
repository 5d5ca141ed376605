// A bridge in a process of its own, to be frozen or killed: `bridge.fixture.ts JSON`. Prints its news, a line each.
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { runBridge } from "../../runtime/bridge/bridge.ts"
import { openCluster } from "../../runtime/kube/access.ts"
import { Nats } from "../../runtime/nats/connection.ts"
import type { ChildSettings } from "./bridge.ts"

const settings = JSON.parse(process.argv[2]!) as ChildSettings
const stop = new AbortController()
process.on("SIGTERM", () => stop.abort())
// Nobody is left who could end us.
process.stdin.on("end", () => process.exit(1)).resume()
const say = (news: unknown) => process.stdout.write(`${JSON.stringify(news)}\n`)

await Effect.runPromise(
  Effect.gen(function* () {
    const nats = yield* Nats
    const cluster = yield* openCluster(settings.kubeconfig)
    const { kubeconfig: _, nats: __, ...options } = settings
    const run = () =>
      runBridge({ ...options, ...nats, cluster, say, published: () => undefined }, stop.signal)
    yield* Effect.promise(run)
  }).pipe(Effect.provide(Layer.fresh(Nats.layer({ url: settings.nats, name: "bridge" }))))
)
process.exit(0)
