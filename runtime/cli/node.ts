import { hostname } from "node:os"
import { Command } from "effect/cli"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Runtime from "effect/Runtime"
import { bindOnNode } from "../../functions/bind-on-node/function.ts"
import { parseLinkChoice } from "../node/links.ts"
import { nodeProcess } from "../node/process.ts"
import { timesFor } from "../node/times.ts"
import * as options from "./options.ts"
import { natsOptionsOf, observability, sayOptions, serveHealth, untilStopped } from "./process.ts"
import { version } from "./version.ts"

/** The node's kernel does not let us, or an option is of no use. Nothing has been touched. */
class NodeUnusable extends Data.TaggedError("NodeUnusable")<{ readonly message: string }> {
  // The sentence has been logged: where in our code it arose helps nobody.
  override readonly [Runtime.errorReported] = false
}

const orUnusable = (what: string) => (cause: unknown) =>
  new NodeUnusable({ message: `${what}${cause instanceof Error ? cause.message : String(cause)}` })

export const node = Command.make(
  "node",
  {
    ...options.natsOptions,
    http: options.http,
    name: options.nodeName,
    link: options.link,
    slice: options.slice,
    lifetime: options.lifetimeMillis,
    stoppedLifetime: options.stoppedLifetimeMillis,
    presenceTtl: options.presenceTtlMillis,
    watch: options.watchMillis
  },
  Effect.fnUntraced(function* (flags) {
    yield* Effect.gen(function* () {
      yield* sayOptions("node", flags)
      const name = Option.getOrElse(flags.name, hostname)
      // A fault of ours in one place must not end the renewal of every address on this node: it is said, and the rest goes on.
      for (const event of ["unhandledRejection", "uncaughtException"] as const) {
        process.on(event, (cause: unknown) => {
          const text = cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
          console.error(`${new Date().toISOString()} ERROR a fault of ours, the runtime goes on: ${text}`)
        })
      }
      const choice = yield* Effect.try({
        try: () => parseLinkChoice(Option.getOrUndefined(flags.link)),
        catch: orUnusable("--link: ")
      })
      const make = yield* Effect.try({
        try: () =>
          nodeProcess({
            node: name,
            version,
            functions: [bindOnNode],
            nats: natsOptionsOf(flags, `extip-node ${name}`),
            choice,
            file: flags.slice,
            times: {
              ...timesFor(flags.lifetime),
              stoppedLifetimeMillis: flags.stoppedLifetime,
              presenceTtlMillis: flags.presenceTtl,
              presenceMillis: Math.round(flags.presenceTtl / 5),
              watchMillis: flags.watch
            }
          }),
        catch: orUnusable("")
      })
      const runtime = yield* make.pipe(Effect.catchDefect((cause) => Effect.fail(orUnusable("")(cause))))
      yield* serveHealth(flags.http, runtime.isReady, runtime.observe)
      yield* untilStopped(runtime.run)
    }).pipe(
      Effect.tapErrorTag("NodeUnusable", ({ message }) => Effect.logError(message)),
      Effect.scoped,
      Effect.provide(observability("node"))
    )
  })
).pipe(
  Command.withDescription(
    "puts addresses on this node's network interfaces; one on each node, with its network"
  )
)
