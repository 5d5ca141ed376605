import { join } from "node:path"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { cacheFolder, type Environment } from "./cache.ts"
import { startContainer } from "./container.ts"
import { LocalFailure, type Say } from "./failure.ts"
import { isPortTaken } from "./files.ts"
import { type Found, find, wantsContainers } from "./find.ts"
import { type Ledger, makeLedger, sweep } from "./ledger.ts"
import type { Binary, Part } from "./parts.ts"
import { type LocalProcess, type Run, startProcess } from "./process.ts"

/** What every part is found and started with. */
export interface Bench {
  readonly env: Environment
  readonly say: Say
  readonly ledger: Ledger
}

const quiet: Say = () => {}
let ledger: Ledger | undefined

const ledgerFolder = () => join(cacheFolder(process.env), "started")

/** Ends what starts that were killed have left behind, and nothing else. Every start does this first. */
export const endLeftovers = (say: Say = quiet): Effect.Effect<void> =>
  Effect.promise(() => sweep(ledgerFolder(), say))

export const makeBench = (say: Say = quiet): Effect.Effect<Bench> =>
  Effect.map(endLeftovers(say), () => {
    ledger ??= makeLedger(ledgerFolder())
    return { env: process.env, say, ledger }
  })

/** In a scope of its own, which joins the outer one on success and is closed at once on failure. */
const whole = <A, E>(body: Effect.Effect<A, E, Scope.Scope>): Effect.Effect<A, E, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    return yield* body.pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
    )
  })

/**
 * Finds the part and starts it with `body`: again when a port was taken meanwhile, otherwise when Docker
 * fails.
 */
export const startPart = <A>(
  part: Part,
  say: Say | undefined,
  body: (at: Bench, found: Found) => Effect.Effect<A, LocalFailure, Scope.Scope>
): Effect.Effect<A, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const at = yield* makeBench(say)
    const start = (found: Found) =>
      whole(body(at, found)).pipe(Effect.retry({ times: 3, while: isPortTaken }))
    const found = yield* find(part, at)
    if (found._tag === "Binaries" || wantsContainers(at.env)) return yield* start(found)
    return yield* start(found).pipe(
      Effect.catch((failure) => {
        at.say(`${part.name}: Docker failed, going on to Go: ${failure.message}`)
        return Effect.flatMap(find(part, { ...at, without: ["Docker"] }), start)
      })
    )
  })

/** Runs one program of a part in the way that it was found. */
export const runBinary = (
  at: Bench,
  found: Found,
  binary: Binary,
  run: Omit<Run, "name" | "path" | "ledger"> & { readonly mounts: Parameters<typeof startContainer>[2] }
): Effect.Effect<LocalProcess, LocalFailure, Scope.Scope> => {
  if (found._tag === "Images")
    return startContainer({ ...run, name: binary.name, ledger: at.ledger }, binary, run.mounts)
  const path = found.paths[binary.name]
  if (path === undefined) return Effect.fail(new LocalFailure({ what: binary.name, detail: "was not found" }))
  return startProcess({ ...run, name: binary.name, path, ledger: at.ledger })
}
