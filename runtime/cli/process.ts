import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as Cause from "effect/Cause"
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServer from "effect/http/HttpServer"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
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

/** Logs as LOG_FORMAT (`text`, `json`) and LOG_LEVEL say; traces and metrics go to OTEL_EXPORTER_OTLP_ENDPOINT, if set. */
export const observability = (service: string) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const format = yield* Config.Literals(["text", "json"], "LOG_FORMAT").pipe(
        Config.withDefault("text" as const)
      )
      const said = yield* Config.String("LOG_LEVEL").pipe(Config.withDefault("info"))
      const level = levels.find((one) => one.toLowerCase() === said.toLowerCase())
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

/**
 * Serves `/healthz`, `/readyz` and `/metrics`, and returns the address it listens on. `observe` is called whenever
 * somebody asks for the metrics: it sets those that are read off the present state.
 */
export const serveHealth = (
  listen: string,
  isReady: () => boolean,
  observe: (context: Context.Context<never>) => void = () => undefined
) =>
  Effect.gen(function* () {
    const [, host, port] = /^(.*):(\d+)$/.exec(listen) ?? []
    if (host === undefined) {
      return yield* Effect.die(new Error(`--http "${listen}" is not host:port, such as 0.0.0.0:9090`))
    }
    const routes = Layer.mergeAll(
      HttpRouter.add("GET", "/healthz", HttpServerResponse.text("ok\n")),
      HttpRouter.add(
        "GET",
        "/readyz",
        Effect.sync(() =>
          HttpServerResponse.text(isReady() ? "ok\n" : "not ready\n", { status: isReady() ? 200 : 503 })
        )
      ),
      HttpRouter.add(
        "GET",
        "/metrics",
        Effect.contextWith((context: Context.Context<never>) => {
          observe(context)
          return Effect.succeed(
            HttpServerResponse.text(PrometheusMetrics.formatUnsafe(context), {
              contentType: "text/plain; version=0.0.4; charset=utf-8"
            })
          )
        })
      )
    )
    const server = HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
      Layer.provideMerge(
        NodeHttpServer.layer(createServer, {
          port: Number(port),
          host: host.replace(/^\[(.*)\]$/, "$1"),
          gracefulShutdownTimeout: "1 second"
        })
      )
    )
    const context = yield* Layer.build(server)
    const { address } = Context.get(context, HttpServer.HttpServer)
    const bound = address._tag === "UnixPathAddress" ? address.path : `http://${host}:${address.port}`
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
