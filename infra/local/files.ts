import { randomInt } from "node:crypto"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalFailure, reasonOf } from "./failure.ts"
import type { Ledger } from "./ledger.ts"

/** The given directory, which is kept; else one of its own, which is removed when the scope closes. */
export const directory = (
  name: string,
  given: string | undefined,
  ledger: Ledger
): Effect.Effect<string, LocalFailure, Scope.Scope> => {
  const failed = (cause: unknown) =>
    new LocalFailure({ what: `${name}: its directory`, detail: reasonOf(cause), cause })
  if (given !== undefined) {
    const path = resolve(given)
    return Effect.try({ try: () => mkdirSync(path, { recursive: true }), catch: failed }).pipe(
      Effect.as(path)
    )
  }
  return Effect.acquireRelease(
    Effect.try({
      try: () => {
        const path = mkdtempSync(join(tmpdir(), `extip-${name}-`))
        ledger.addDirectory(path)
        return path
      },
      catch: failed
    }),
    (path) =>
      Effect.sync(() => {
        rmSync(path, { recursive: true, force: true })
        ledger.removeDirectory(path)
      })
  )
}

/**
 * Below what the kernel gives to those who ask for any port, and to connections: who is killed and started again finds
 * his port free. And below what Kubernetes gives to Services (from 30000).
 */
const [lowest, highest] = [15_000, 29_999]
const tries = 50

/** `undefined` when somebody has it. */
const listenOn = (port: number): Promise<Server | undefined> =>
  new Promise((done) => {
    const server = createServer()
    server.once("error", () => done(undefined)).listen(port, "127.0.0.1", () => done(server))
  })

const listenAnywhere = async (): Promise<Server> => {
  for (let attempt = 0; attempt < tries; attempt++) {
    const server = await listenOn(randomInt(lowest, highest + 1))
    if (server !== undefined) return server
  }
  throw new Error(`none of ${tries} ports from ${lowest} to ${highest} is free`)
}

/**
 * That many different TCP ports of 127.0.0.1 that were free a moment ago. Somebody else may take one before
 * it is used, so a start that fails is worth another try.
 */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>, LocalFailure> =>
  Effect.tryPromise({
    try: async () => {
      // All held at once, or the same one may be chosen twice.
      const servers = await Promise.all(Array.from({ length: count }, listenAnywhere))
      const ports = servers.map((server) => (server.address() as AddressInfo).port)
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
      return ports
    },
    catch: (cause) => new LocalFailure({ what: "a free port of 127.0.0.1", detail: reasonOf(cause), cause })
  })

/** Whether the failure is that somebody took a port between our looking and the start. */
export const isPortTaken = (failure: LocalFailure): boolean =>
  failure.detail.includes("address already in use")
