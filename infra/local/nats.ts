import { randomBytes, randomUUID } from "node:crypto"
import { connect } from "node:net"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LocalFailure, Say } from "./failure.ts"
import { directory, freePorts } from "./files.ts"
import { type Found, find } from "./find.ts"
import * as parts from "./parts.ts"
import type { LocalProcess } from "./process.ts"
import { type Bench, makeBench, runBinary, startPart } from "./start.ts"

/** Who there is, in `nats.conf`. */
export const natsRoles = ["admin", "bridge", "functions", "node", "reader"] as const
export type NatsRole = (typeof natsRoles)[number]

/** A NATS server with JetStream. */
export interface NatsServer {
  /** With the name and password of who may do everything, where we know them. */
  readonly url: string
  /** The same for one of the roles; at another host and port (`10.0.0.1:4222`), where the server is reached there. */
  readonly as: (role: NatsRole, at?: string) => string
  readonly port: number
  /** Where JetStream keeps its files; nothing when the user pointed to a server. */
  readonly storeDir?: string
  /** Nothing when the user pointed to a server. */
  readonly process?: LocalProcess
}

/** One that we have started. */
export type OwnNatsServer = Required<NatsServer>

export interface NatsOptions {
  readonly say?: Say
  /** Where data and log are kept; by default in a temporary directory, removed at the end. */
  readonly directory?: string
}

const conf = fileURLToPath(new URL("../../nats.conf", import.meta.url))
const probeMillis = 1_000
const readyWithinSeconds = 60

/** What a NATS server says first: who it is and whether JetStream is on. */
const greeting = (port: number): Promise<string> =>
  new Promise((done) => {
    let text = ""
    const socket = connect({ host: "127.0.0.1", port, timeout: probeMillis })
    const end = () => {
      socket.destroy()
      done(text)
    }
    socket.on("error", end).on("timeout", end).on("close", end)
    socket.on("data", (data) => {
      text += data.toString("utf8")
      if (text.includes("\r\n")) end()
    })
  })

// A letter first: the server would read what begins with a digit as a number.
export const newPassword = () => `local${randomBytes(16).toString("hex")}`

export type Passwords = ReadonlyMap<NatsRole, string>
export const newPasswords = (): Passwords => new Map(natsRoles.map((role) => [role, newPassword()]))

export interface Serve {
  /** Data and log. */
  readonly path: string
  readonly port: number
  readonly passwords: Passwords
  /** It tells the server from one that took the port before it. */
  readonly name: string
  /** After ours. */
  readonly args?: ReadonlyArray<string>
  /** What besides its greeting must be so. */
  readonly ready?: Effect.Effect<boolean>
}

/** One server with our configuration. */
export const serve = (
  at: Bench,
  found: Found,
  { path, port, passwords, name, args = [], ready = Effect.succeed(true) }: Serve
): Effect.Effect<OwnNatsServer, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const storeDir = join(path, "store")
    const greeted = Effect.promise(() => greeting(port)).pipe(
      Effect.map((said) => said.includes(name) && said.includes('"jetstream":true'))
    )
    const server = yield* runBinary(at, found, parts.nats.binaries[0]!, {
      args: ["-c", conf, "-a", "127.0.0.1", "-p", `${port}`, "-sd", storeDir, "-n", name, ...args],
      env: Object.fromEntries(
        Array.from(passwords, ([role, password]) => [`NATS_${role.toUpperCase()}_PASSWORD`, password])
      ),
      log: join(path, "nats-server.log"),
      ready: Effect.flatMap(greeted, (isUp) => (isUp ? ready : Effect.succeed(false))),
      readyWithinSeconds,
      mounts: [
        { path, mode: "rw" },
        { path: conf, mode: "ro" }
      ]
    })
    const as: NatsServer["as"] = (role, at = `127.0.0.1:${port}`) =>
      `nats://${role}:${passwords.get(role)}@${at}`
    return { url: as("admin"), as, port, storeDir, process: server }
  })

const start = (
  at: Bench,
  found: Found,
  given: string | undefined
): Effect.Effect<OwnNatsServer, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* directory("nats", given, at.ledger)
    const [port] = (yield* freePorts(1)) as [number]
    return yield* serve(at, found, { path, port, passwords: newPasswords(), name: `extip-${randomUUID()}` })
  })

/**
 * A nats-server of our own with the repository's `nats.conf`, ended with the scope, wherever the user points.
 */
export const ownNatsServer = (
  options: NatsOptions = {}
): Effect.Effect<OwnNatsServer, LocalFailure, Scope.Scope> =>
  startPart(parts.nats, options.say, (at, found) => start(at, found, options.directory))

/** The name of its official image; the image is here then, pulled or made. */
export const natsImage = (say: Say): Effect.Effect<string, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const at = yield* makeBench(say)
    yield* find(parts.nats, { ...at, env: { ...at.env, EXTIP_PARTS: "containers" } })
    return parts.nats.binaries[0]!.image!
  })

/** The NATS that `EXTIP_NATS_URL` points to, else one of our own. Ready when it returns. */
export const natsServer = (options: NatsOptions = {}): Effect.Effect<NatsServer, LocalFailure, Scope.Scope> =>
  Effect.suspend(() => {
    const url = process.env[parts.nats.pointer]
    if (url === undefined || url === "") return ownNatsServer(options)
    options.say?.(`NATS: took ${url}, from ${parts.nats.pointer}`)
    const port = Number(URL.parse(url.split(",")[0]!)?.port || 4222)
    const as: NatsServer["as"] = (_role, at) =>
      at === undefined ? url : url.split(",")[0]!.replace(/(:\/\/(?:[^@/]*@)?)[^/]*/, `$1${at}`)
    return Effect.succeed<NatsServer>({ url, as, port })
  })
