import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:net"
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
 * That many different TCP ports of 127.0.0.1 that were free a moment ago. Somebody else may take one before
 * it is used, so a start that fails is worth another try.
 */
export const freePorts = (count: number): Effect.Effect<ReadonlyArray<number>, LocalFailure> =>
  Effect.tryPromise({
    try: async () => {
      const servers = Array.from({ length: count }, () => createServer())
      // All held at once, or the kernel may give the same one twice.
      await Promise.all(
        servers.map(
          (server) =>
            new Promise<void>((done, fail) => {
              server.once("error", fail).listen(0, "127.0.0.1", done)
            })
        )
      )
      const ports = servers.map((server) => (server.address() as { port: number }).port)
      await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
      return ports
    },
    catch: (cause) => new LocalFailure({ what: "a free port of 127.0.0.1", detail: reasonOf(cause), cause })
  })

/** Whether the failure is that somebody took a port between our looking and the start. */
export const isPortTaken = (failure: LocalFailure): boolean =>
  failure.detail.includes("address already in use")
