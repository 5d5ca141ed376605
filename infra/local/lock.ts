import { randomUUID } from "node:crypto"
import {
  linkSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { dirname } from "node:path"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalFailure, reasonOf } from "./failure.ts"
import { fateOf, type ProcessIdentity, self } from "./identity.ts"

interface Owner extends ProcessIdentity {
  /** Differs for every acquisition, even by one process. */
  readonly token: string
}

const pollMillis = 100
const touchMillis = 5_000
// An owner whose life we cannot see (another container on a shared cache) must touch its lock this often.
const elsewhereMillis = 60_000

const ownerOf = (path: string): Owner | undefined => {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as Owner
  } catch {
    return undefined
  }
}

const isStale = (path: string, owner: Owner): boolean => {
  const fate = fateOf(owner)
  if (fate !== "elsewhere") return fate === "gone"
  try {
    return Date.now() - statSync(path).mtimeMs > elsewhereMillis
  } catch {
    return false
  }
}

/** The lock's token, or its owner when somebody else has it. A link appears whole or not at all. */
const tryTake = (path: string): string | Owner | undefined => {
  const token = randomUUID()
  const draft = `${path}.${token}.draft`
  writeFileSync(draft, JSON.stringify({ ...self, token } satisfies Owner))
  try {
    linkSync(draft, path)
    return token
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause
  } finally {
    unlinkSync(draft)
  }
  const owner = ownerOf(path)
  if (owner === undefined || !isStale(path, owner)) return owner
  // Two who saw the same dead owner must not both remove the file: the second might remove the first one's
  // new lock. So removal needs a lock of its own, named after the dead owner, and a second look under it.
  const grave = `${path}.${owner.token}`
  const burial = tryTake(grave)
  if (typeof burial !== "string") return burial
  if (ownerOf(path)?.token === owner.token) unlinkSync(path)
  unlinkSync(grave)
  return tryTake(path)
}

const release = (path: string, token: string): void => {
  if (ownerOf(path)?.token === token) rmSync(path, { force: true })
}

/**
 * Holds the lock `path` until the scope closes. A lock whose owner no longer lives is taken over, so a `kill
 * -9` blocks nobody. `waiting` is called once, with the owner's pid, when somebody else holds it.
 */
export const lock = (
  path: string,
  waiting: (pid: number) => void
): Effect.Effect<void, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    let told = false
    while (true) {
      const taken = yield* Effect.acquireRelease(
        Effect.try({
          try: () => {
            mkdirSync(dirname(path), { recursive: true })
            const result = tryTake(path)
            if (typeof result !== "string") return { pid: result?.pid }
            const touch = setInterval(() => {
              try {
                utimesSync(path, new Date(), new Date())
              } catch {
                // Whoever took it away has a reason; the work below is made to be safe without it.
              }
            }, touchMillis)
            touch.unref()
            return { token: result, touch }
          },
          catch: (cause) => new LocalFailure({ what: `lock ${path}`, detail: reasonOf(cause), cause })
        }),
        (held) =>
          Effect.sync(() => {
            if (!("token" in held)) return
            clearInterval(held.touch)
            release(path, held.token)
          })
      )
      if ("token" in taken) return
      if (!told && taken.pid !== undefined) {
        told = true
        waiting(taken.pid)
      }
      yield* Effect.sleep(pollMillis)
    }
  })
