import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream"
import {
  type ConnectionOptions,
  connect,
  credsAuthenticator,
  type NatsConnection
} from "@nats-io/transport-node"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

/** NATS refused us, or is set up in a way that we cannot use. Being away is not a failure: it is waited for. */
export class NatsUnusable extends Data.TaggedError("NatsUnusable")<{
  readonly operation: string
  readonly cause: unknown
}> {
  override get message() {
    return `NATS: ${this.operation}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface NatsOptions {
  /** `nats://host:port` or `nats://user:password@host:port`, several separated by commas. */
  readonly url: string
  /** Shown by `nats server report connections`. */
  readonly name: string
  readonly user?: string | undefined
  readonly password?: string | undefined
  /** Path of a credentials file. */
  readonly creds?: string | undefined
  /** Path of the authority's certificates. TLS is spoken where the server or the URL (`tls://`) asks for it. */
  readonly ca?: string | undefined
  /** Milliseconds between two pings; with two unanswered when a third is due, the peer is dead. 5,000 unless told. */
  readonly pingMillis?: number | undefined
}

/** The connection of this process. It reconnects for ever; `onReconnect` tells when it has. */
export class Nats extends Context.Service<
  Nats,
  {
    readonly connection: NatsConnection
    readonly js: JetStreamClient
    readonly jsm: JetStreamManager
    readonly isConnected: () => boolean
    /** Calls back after every reconnect and after every loss. Returns the way to stop it. */
    readonly onStatus: (listener: (status: "connected" | "lost") => void) => () => void
  }
>()("extip/Nats") {
  static readonly layer = (options: NatsOptions): Layer.Layer<Nats, NatsUnusable> =>
    Layer.effect(
      Nats,
      Effect.gen(function* () {
        const connection = yield* Effect.acquireRelease(
          Effect.tryPromise({
            try: () => connect(connectionOptions(options)),
            catch: (cause) =>
              new NatsUnusable({ operation: `connect to ${withoutPassword(options.url)}`, cause })
          }).pipe(saidToWait(options)),
          (connection) =>
            Effect.promise(() => connection.drain()).pipe(
              Effect.timeout("2 seconds"),
              Effect.catchCause(() => Effect.promise(() => connection.close())),
              Effect.ignore
            ),
          // A NATS that is not there yet is waited for, as long as nobody tells us to end.
          { interruptible: true }
        )
        const listeners = new Set<(status: "connected" | "lost") => void>()
        let connected = true
        void (async () => {
          for await (const status of connection.status()) {
            if (status.type === "staleConnection" && connected) socketOf(connection)?.destroy()
            if (status.type === "reconnect" || status.type === "disconnect") {
              connected = status.type === "reconnect"
              for (const listener of listeners) listener(connected ? "connected" : "lost")
            }
          }
        })()
        const jsm = yield* Effect.tryPromise({
          try: () => jetstreamManager(connection, { checkAPI: false, timeout: 5_000 }),
          catch: (cause) => new NatsUnusable({ operation: "open JetStream", cause })
        })
        return Nats.of({
          connection,
          js: jetstream(connection, { timeout: 5_000 }),
          jsm,
          isConnected: () => connected,
          onStatus: (listener) => {
            listeners.add(listener)
            return () => listeners.delete(listener)
          }
        })
      })
    )
}

/**
 * The library ends a connection whose peer has died once all that was written is taken, and a dead peer takes nothing:
 * with the kernel's buffers full it would wait until TCP gives up, a quarter of an hour. The socket is not in its types.
 */
const socketOf = (connection: NatsConnection): Socket | undefined =>
  (connection as { protocol?: { transport?: { socket?: Socket } } }).protocol?.transport?.socket

const userinfo = /^([a-z]+:\/\/)?(?:([^@/:]*)(?::([^@/]*))?@)?/

/** The URLs, as they may be shown. */
export const withoutPassword = (url: string): string => url.replace(/:\/\/([^@/:]*):[^@/]*@/g, "://$1@")

const connectionOptions = (options: NatsOptions): ConnectionOptions => {
  const servers = options.url.split(",").map((server) => server.trim())
  const [, , user, password] = userinfo.exec(servers[0]!) ?? []
  return authenticated({
    ...options,
    url: servers.map((server) => server.replace(userinfo, "$1")).join(","),
    user: options.user ?? (user === undefined ? undefined : decodeURIComponent(user)),
    password: options.password ?? (password === undefined ? undefined : decodeURIComponent(password))
  })
}

/** Answers come under a prefix that is the user's own, so that nobody else need be let hear them. */
const inboxOf = (user: string | undefined) =>
  user === undefined || !/^[A-Za-z0-9_-]+$/.test(user) ? {} : { inboxPrefix: `_INBOX_${user}` }

const authenticated = (options: NatsOptions): ConnectionOptions => ({
  servers: options.url.split(","),
  ...inboxOf(options.user),
  name: options.name,
  maxReconnectAttempts: -1,
  waitOnFirstConnect: true,
  reconnectTimeWait: 250,
  reconnectJitter: 100,
  // So long a dial hangs on a host that is gone, or on a server that dies just after its greeting; default: 20 seconds.
  timeout: 3_000,
  // A dead peer is found after fifteen seconds instead of the default six minutes.
  pingInterval: options.pingMillis ?? 5_000,
  maxPingOut: 2,
  ignoreAuthErrorAbort: true,
  ...(options.user === undefined ? {} : { user: options.user }),
  ...(options.password === undefined ? {} : { pass: options.password }),
  ...(options.creds === undefined ? {} : { authenticator: credsAuthenticator(readFileSync(options.creds)) }),
  ...(options.ca === undefined ? {} : { tls: { caFile: options.ca } })
})

/** Why there is no connection, by one attempt of its own; `undefined` when there was one. */
const obstacle = (options: NatsOptions): Effect.Effect<string | undefined> =>
  Effect.promise(async () => {
    const once = { waitOnFirstConnect: false, reconnect: false, ignoreAuthErrorAbort: false }
    try {
      const connection = await connect({ ...connectionOptions(options), ...once })
      await connection.close()
      return undefined
    } catch (cause) {
      return cause instanceof Error ? cause.message : String(cause)
    }
  })

/** Says what it waits for when NATS is not there after a second, and each time that the reason is another one. */
const saidToWait =
  (options: NatsOptions) =>
  <A, E, R>(connecting: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.gen(function* () {
      let said = ""
      // The client that waits tries again without a word, a wrong password included.
      const say = Effect.gen(function* () {
        const reason = yield* obstacle(options)
        if (reason === undefined || reason === said) return
        said = reason
        yield* Effect.logWarning(`waiting for NATS at ${withoutPassword(options.url)}: ${reason}`)
      })
      const hint = yield* Effect.forkChild(
        Effect.delay(say, "1 second").pipe(Effect.andThen(Effect.forever(Effect.delay(say, "10 seconds"))))
      )
      return yield* connecting.pipe(Effect.ensuring(Fiber.interrupt(hint)))
    })

/** A call to NATS as an Effect; what it rejects with becomes `NatsUnusable`. */
export const natsCall = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, NatsUnusable> =>
  Effect.tryPromise({ try: run, catch: (cause) => new NatsUnusable({ operation, cause }) })
