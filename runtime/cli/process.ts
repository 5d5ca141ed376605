import type { IncomingMessage } from "node:http"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import type * as Context from "effect/Context"
import { GlobalFlag } from "effect/cli"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as References from "effect/References"
import type * as Runtime from "effect/Runtime"
import { Misdeclared } from "../Function.ts"
import { Nats, type NatsOptions, withoutPassword } from "../nats/connection.ts"
import type { NatsFlags } from "./options.ts"

/** SIGTERM and SIGINT drain and end with 0; only a failure is a failure. */
export const teardown: Runtime.Teardown = (exit, onExit) =>
  onExit(Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? 1 : 0)

const jsonLogger = Logger.make<unknown, void>((options) => {
  const line = Logger.formatStructured.log(options)
  process.stdout.write(
    `${JSON.stringify({ time: line.timestamp, level: line.level.toLowerCase(), message: line.message, ...line.annotations, ...(line.cause === undefined ? {} : { cause: line.cause }) })}\n`
  )
})

const textLogger = Logger.make<unknown, void>((options) => {
  const line = Logger.formatStructured.log(options)
  const about = Object.entries(line.annotations).map(([name, value]) => ` ${name}=${String(value)}`)
  const cause = line.cause === undefined ? "" : `\n${line.cause}`
  const message = Array.isArray(line.message) ? line.message.join(" ") : String(line.message)
  process.stdout.write(
    `${line.timestamp} ${line.level.toUpperCase().padEnd(5)} ${message}${about.join("")}${cause}\n`
  )
})

const levels = ["All", "Trace", "Debug", "Info", "Warn", "Error", "Fatal", "None"] as const

/** Logs as LOG_FORMAT (`text`, `json`) and --log-level, or else LOG_LEVEL, say; traces and metrics go to OTEL_EXPORTER_OTLP_ENDPOINT, if set. */
export const observability = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const format = yield* Config.Literals(["text", "json"], "LOG_FORMAT").pipe(
        Config.withDefault("text" as const)
      )
      const flag = Option.flatten(yield* Effect.serviceOption(GlobalFlag.LogLevel))
      const said = yield* Config.String("LOG_LEVEL").pipe(Config.withDefault("info"))
      const known = levels.find((one) => one.toLowerCase() === said.toLowerCase())
      const level = Option.getOrElse(flag, () => known)
      if (level === undefined) {
        return yield* Effect.die(
          new Error(`LOG_LEVEL "${said}" is none of ${levels.join(", ").toLowerCase()}`)
        )
      }
      const endpoint = yield* Config.String("OTEL_EXPORTER_OTLP_ENDPOINT").pipe(Config.option)
      const logs = Layer.mergeAll(
        Logger.layer([format === "json" ? jsonLogger : textLogger]),
        Layer.succeed(References.MinimumLogLevel, level)
      )
      if (Option.isNone(endpoint)) return logs
      // A fifth of all modules, for those who have a collector.
      const [{ FetchHttpClient }, { Otlp }] = yield* Effect.promise(() =>
        Promise.all([import("effect/http"), import("effect/observability")])
      )
      return Otlp.layerProtobuf({
        baseUrl: endpoint.value,
        resource: { serviceName: `extip-${service}` },
        loggerMergeWithExisting: true,
        shutdownTimeout: "1 second"
      }).pipe(Layer.provide(FetchHttpClient.layer), Layer.provideMerge(logs))
    })
  )

/** How to reach NATS, as the flags say. `name` is shown by `nats server report connections`. */
export const natsOptionsOf = (flags: NatsFlags, name: string): NatsOptions => ({
  url: flags.nats,
  name,
  user: Option.getOrUndefined(flags.natsUser),
  password: Option.getOrUndefined(flags.natsPassword),
  creds: Option.getOrUndefined(flags.natsCreds),
  ca: Option.getOrUndefined(flags.natsCa)
})

export const natsLayer = (flags: NatsFlags, name: string) => Nats.layer(natsOptionsOf(flags, name))

/** Says at the start what a process goes by. */
export const sayOptions = (name: string, flags: Record<string, unknown>) =>
  Effect.logInfo(`extip ${name}`).pipe(
    Effect.annotateLogs(
      Object.fromEntries(
        Object.entries(flags)
          .filter(([key]) => key !== "natsPassword")
          .map(([key, value]) => [
            key,
            withoutPassword(
              Option.isOption(value) ? String(Option.getOrElse(value, () => "-")) : String(value)
            )
          ])
      )
    )
  )

/** The address for health and metrics is another's, or none of ours. */
class CannotListen extends Data.TaggedError("CannotListen")<{
  readonly listen: string
  readonly cause: Error
}> {
  override get message() {
    return `--http ${this.listen}: ${this.cause.message}`
  }
}

interface Answer {
  readonly status: number
  readonly text: string
  readonly type?: string
}

const exposition = "text/plain; version=0.0.4; charset=utf-8"

/** So long somebody who is being answered when we end may still listen. */
const closeMillis = 1_000

/**
 * Serves `/healthz`, `/readyz` and `/metrics`, and returns the address it listens on. `observe` is called whenever
 * somebody asks for the metrics: it sets those that are read off the present state.
 */
export const serveHealth = (
  listen: string,
  isReady: () => boolean,
  observe: (context: Context.Context<never>) => void = () => undefined
) =>
  // Of Node itself: Effect's server is a tenth of a process's start, and 12 MB.
  Effect.gen(function* () {
    const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? []
    if (host === undefined) {
      return yield* Effect.die(
        new Error(
          `--http "${listen}" is not host:port, such as 127.0.0.1:9090, or :9090 for every address of both families`
        )
      )
    }
    const context = yield* Effect.context<never>()
    // An import would ask the module for each of its names, which loads Node's `fetch`: a sixth of a process's start.
    const { createServer } = process.getBuiltinModule("node:http")
    const server = createServer(async (asked, answer) => {
      const { status, text, type = "text/plain" } = await answerOf(asked)
      answer.writeHead(status, { "content-type": type }).end(asked.method === "HEAD" ? undefined : text)
    })
    const answerOf = async ({ method, url }: IncomingMessage): Promise<Answer> => {
      if (method !== "GET" && method !== "HEAD") return { status: 405, text: "only GET\n" }
      switch (url?.split("?")[0]) {
        case "/healthz":
          return { status: 200, text: "ok\n" }
        case "/readyz":
          return isReady() ? { status: 200, text: "ok\n" } : { status: 503, text: "not ready\n" }
        case "/metrics":
          try {
            observe(context)
            const { formatUnsafe } = await import("effect/observability/PrometheusMetrics")
            return { status: 200, text: formatUnsafe(context), type: exposition }
          } catch (cause) {
            return { status: 500, text: `${String(cause)}\n` }
          }
        default:
          return { status: 404, text: "not found\n" }
      }
    }
    yield* Effect.acquireRelease(
      Effect.callback<void, CannotListen>((resume) => {
        server.once("error", (cause) => resume(Effect.fail(new CannotListen({ listen, cause }))))
        server.listen(Number(port), host.replace(/^\[(.*)\]$/, "$1"), () => resume(Effect.void))
      }),
      () =>
        Effect.callback<void>((resume) => {
          const late = setTimeout(() => server.closeAllConnections(), closeMillis)
          server.close(() => {
            clearTimeout(late)
            resume(Effect.void)
          })
        })
    )
    const address = server.address()
    const bound =
      address === null || typeof address === "string"
        ? String(address)
        : `http://${host === "" ? "localhost" : host}:${address.port}`
    yield* Effect.logInfo(`health and metrics at ${bound}`)
    return bound
  })

/** Runs `run` until the process is told to stop, then waits for it to end by itself. */
export const untilStopped = (run: (signal: AbortSignal) => Promise<void>): Effect.Effect<void> =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const stop = new AbortController()
      return { stop, running: run(stop.signal) }
    }),
    ({ running }) => Effect.promise(() => running),
    ({ stop, running }) =>
      Effect.promise(() => {
        stop.abort()
        return running.catch(() => undefined)
      })
  )

/** What loading functions can fail with; anything else that a user's file throws is named as such. */
export const misdeclared = (cause: unknown): Misdeclared =>
  cause instanceof Misdeclared
    ? cause
    : new Misdeclared(
        `a function could not be loaded: ${cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)}`
      )
