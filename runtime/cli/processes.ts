import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { Settings } from "../../functions/domain/settings.ts"
import { functions as ours } from "../../functions/index.ts"
import { type BridgeProcess, bridgeProcess } from "../bridge/process.ts"
import { requireOneKindEach } from "../Function.ts"
import { kindsOf } from "../host/kinds.ts"
import { type HostProcess, hostProcess } from "../host/process.ts"
import { openCluster } from "../kube/access.ts"
import { httpApi } from "../kube/http.ts"
import { requirePermissions } from "../kube/permissions.ts"
import { selectFunctions } from "./load.ts"
import * as options from "./options.ts"
import { observePools } from "./pools.ts"
import { misdeclared, natsLayer, observability, sayOptions, serveHealth, untilStopped } from "./process.ts"
import { settingsOf } from "./settings.ts"

/** The functions that the flags choose: ours by these settings, and the user's own. */
const selected = (
  settings: Settings,
  { from, only }: { readonly from: Option.Option<string>; readonly only: Option.Option<string> }
) =>
  Effect.tryPromise({
    try: () => selectFunctions(ours(settings), Option.getOrUndefined(from), options.namesOf(only)),
    catch: misdeclared
  })

const shared = {
  ...options.natsOptions,
  kubeconfig: options.kubeconfig,
  http: options.http,
  only: options.only,
  from: options.from,
  ...options.settingsOptions
}

export const bridge = Command.make(
  "bridge",
  {
    ...shared,
    silence: options.silenceSeconds,
    lease: options.leaseSeconds,
    natsReplicas: options.natsReplicas
  },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      yield* sayOptions("bridge", flags)
      const functions = yield* selected(yield* settingsOf(flags), flags)
      let process: BridgeProcess | undefined
      // Before NATS is there: who waits for it is alive, and not ready.
      yield* serveHealth(flags.http, () => process?.isReady() ?? false)
      yield* Effect.gen(function* () {
        const cluster = yield* openCluster(Option.getOrUndefined(flags.kubeconfig))
        process = yield* bridgeProcess(cluster, kindsOf(functions), {
          leaseSeconds: flags.lease,
          replicas: Option.getOrUndefined(flags.natsReplicas),
          times: { silenceMillis: flags.silence * 1000 }
        })
        yield* untilStopped(process.run)
      }).pipe(Effect.scoped, Effect.provide(natsLayer(flags, "extip-bridge")))
    }).pipe(Effect.scoped, Effect.provide(observability("bridge")))
  })
).pipe(Command.withDescription("publishes the cluster's changes to NATS; run two, one is active"))

export const functionsCommand = Command.make(
  "functions",
  { ...shared, concurrency: options.concurrency },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      yield* sayOptions("functions", flags)
      const settings = yield* settingsOf(flags)
      const functions = yield* selected(settings, flags)
      yield* Effect.try({ try: () => requireOneKindEach(functions), catch: misdeclared })
      let process: HostProcess | undefined
      const observe = observePools(() => process?.view(), functions, settings)
      yield* serveHealth(flags.http, () => process?.isReady() ?? false, observe)
      yield* Effect.gen(function* () {
        const api = httpApi(yield* openCluster(Option.getOrUndefined(flags.kubeconfig)))
        process = yield* hostProcess(api, functions, { concurrency: flags.concurrency })
        // Where the API server is away now, the first event will wait for it; a missing rule will not mend itself.
        yield* requirePermissions(api, functions).pipe(
          Effect.catchTag("Unavailable", (failure) => Effect.logWarning(failure.message))
        )
        yield* untilStopped(process.run)
      }).pipe(Effect.scoped, Effect.provide(natsLayer(flags, "extip-functions")))
    }).pipe(Effect.scoped, Effect.provide(observability("functions")))
  })
).pipe(Command.withDescription("hosts functions; run as many as you like, each function is active on one"))
