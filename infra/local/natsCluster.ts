import { randomUUID } from "node:crypto"
import { mkdirSync } from "node:fs"
import { request } from "node:http"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { LocalFailure } from "./failure.ts"
import { directory, freePorts } from "./files.ts"
import type { Found } from "./find.ts"
import {
  type NatsOptions,
  type NatsServer,
  newPassword,
  newPasswords,
  type OwnNatsServer,
  serve
} from "./nats.ts"
import * as parts from "./parts.ts"
import { type Bench, startPart } from "./start.ts"

/** One of several. */
export interface NatsMember extends OwnNatsServer {
  readonly name: string
  /** What it answers at its monitoring port (`/jsz`); empty when it does not answer. */
  readonly monitor: (path: string) => Effect.Effect<string>
}

/** NATS servers that are one. */
export interface NatsCluster extends Pick<NatsServer, "as"> {
  /** All of them, with the name and password of who may do everything. */
  readonly url: string
  readonly members: ReadonlyArray<NatsMember>
}

const probeMillis = 1_000

/** The body of a good answer. */
const fetched = (url: string): Effect.Effect<string> =>
  Effect.callback<string>((resume) => {
    const none = () => resume(Effect.succeed(""))
    const asked = request(url, { timeout: probeMillis, agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text) => {
        body += text
      })
      response.on("end", () => resume(Effect.succeed(response.statusCode === 200 ? body : "")))
      response.on("error", none)
    })
    asked.on("timeout", () => asked.destroy())
    asked.on("error", none)
    asked.end()
    return Effect.sync(() => asked.destroy())
  })

const start = (
  at: Bench,
  found: Found,
  count: number,
  given: string | undefined
): Effect.Effect<NatsCluster, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const path = yield* directory("nats", given, at.ledger)
    const ports = yield* freePorts(3 * count)
    const run = randomUUID()
    const passwords = newPasswords()
    const routesPassword = newPassword()
    // As infra/deploy/components/ha has them.
    const routes = Array.from(
      { length: count },
      (_, i) => `nats://routes:${routesPassword}@127.0.0.1:${ports[3 * i + 1]}`
    )
    // At once: alone, none of them becomes ready.
    const members = yield* Effect.forEach(
      routes,
      (route, i) =>
        Effect.gen(function* () {
          const name = `extip-${run}-${i}`
          const own = join(path, `${i}`)
          mkdirSync(own, { recursive: true })
          const monitorPort = ports[3 * i + 2]!
          const monitor = (page: string) => fetched(`http://127.0.0.1:${monitorPort}${page}`)
          const cluster = [
            `--cluster_name=extip-${run}`,
            `--cluster=${route}`,
            `--routes=${routes.join(",")}`
          ]
          const server = yield* serve(at, found, {
            path: own,
            port: ports[3 * i]!,
            passwords,
            name,
            args: [...cluster, "-m", `${monitorPort}`],
            // It has a leader, and what it has is as new as the leader's.
            ready: Effect.map(monitor("/healthz"), (answer) => answer !== "")
          })
          return { ...server, name, monitor }
        }),
      { concurrency: "unbounded" }
    )
    const as: NatsCluster["as"] = (role, at) =>
      at === undefined ? members.map((member) => member.as(role)).join(",") : members[0]!.as(role, at)
    return { url: as("admin"), as, members }
  })

/** Nats-servers of our own that are one cluster, with the repository's `nats.conf`, ended with the scope. */
export const ownNatsCluster = (
  count: number,
  options: NatsOptions = {}
): Effect.Effect<NatsCluster, LocalFailure, Scope.Scope> =>
  startPart(parts.nats, options.say, (at, found) => start(at, found, count, options.directory))
