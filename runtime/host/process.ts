import * as Effect from "effect/Effect"
import type { FunctionDefinition } from "../Function.ts"
import type { KubeApi } from "../kube/api.ts"
import { Nats } from "../nats/connection.ts"
import type { View } from "../View.ts"
import { type HostNews, type HostState, runHost } from "./host.ts"

export interface HostProcess {
  /** The world as the host sees it; `undefined` while it is not whole. */
  readonly view: () => View | undefined
  readonly isReady: () => boolean
  readonly run: (signal: AbortSignal) => Promise<void>
}

/** The function host with its logs and metrics. */
export const hostProcess = (
  api: KubeApi,
  functions: ReadonlyArray<FunctionDefinition<any>>,
  options: { readonly concurrency: number }
): Effect.Effect<HostProcess, never, Nats> =>
  Effect.gen(function* () {
    const nats = yield* Nats
    const context = yield* Effect.context<never>()
    const log = Effect.runForkWith(context)
    let state: HostState | undefined
    let waitingFor = ""
    const say = (news: HostNews): void => {
      switch (news._tag) {
        case "Waiting":
          // Said once, not five times a second.
          if (news.message !== waitingFor) log(Effect.logInfo(`waiting: ${news.message}`))
          waitingFor = news.message
          return
        case "Hydrated":
          waitingFor = ""
          return void log(
            Effect.logInfo(`the view is whole: ${news.objects} objects`).pipe(
              Effect.annotateLogs({ log: news.created, sequence: news.sequence })
            )
          )
        case "Lost":
          return void log(Effect.logWarning(`reading the log anew: ${news.message}`))
        case "FleetRead":
          return void log(
            Effect.logInfo(`the nodes are known: ${news.nodes}, with ${news.placements} placements`)
          )
        case "FleetLost":
          return void log(Effect.logWarning(`reading the nodes anew: ${news.message}`))
        case "FleetUndecodable":
          return void log(Effect.logError(`${news.subject} has not the expected shape: ${news.problem}`))
        case "Undecodable":
          return void log(Effect.logError(`${news.object} has not the expected shape: ${news.problem}`))
        case "Trouble":
          return void log(
            Effect.logWarning(news.message).pipe(Effect.annotateLogs({ function: news.function }))
          )
        default: {
          const about = Effect.annotateLogs({ function: news.function, object: news.object })
          switch (news._tag) {
            case "Done":
              return void log(Effect.logInfo(news.decision).pipe(about))
            case "Rejected":
              return void log(Effect.logInfo(`rejected: ${news.cause}`).pipe(about))
            case "Again": {
              const message = `again (attempt ${news.attempt}): ${news.cause}`
              // What an administrator has to mend is said once; that it is still so, to who asks for more.
              const isNew = news.reason !== undefined && news.attempt === 1
              return void log((isNew ? Effect.logWarning(message) : Effect.logDebug(message)).pipe(about))
            }
            case "Parked":
              return void log(Effect.logError(`parked: ${news.cause}`).pipe(about))
          }
        }
      }
    }
    return {
      view: () => (state?.isReady() ? state.view : undefined),
      isReady: () => nats.isConnected() && (state?.isReady() ?? false),
      run: (signal) =>
        runHost(
          { functions, ...nats, api, context, concurrency: options.concurrency, say },
          signal,
          (started) => {
            state = started
          }
        )
    }
  })
