import { spawnSync } from "node:child_process"
import { randomUUID } from "node:crypto"
import { createWriteStream } from "node:fs"
import { finished } from "node:stream/promises"
import { setTimeout as sleep } from "node:timers/promises"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalFailure, reasonOf } from "./failure.ts"
import type { Binary } from "./parts.ts"
import { type LocalProcess, type Run, tailOf } from "./process.ts"

const pollMillis = 50
const logEndMillis = 2_000

/** Names of those that are to end with us. */
const living = new Set<string>()
process.on("exit", () => {
  if (living.size > 0) spawnSync("docker", ["rm", "--force", "--volumes", ...living], { stdio: "ignore" })
})

/**
 * As `startProcess`, in a container of the host's network with `mounts` at the same paths, so that ports,
 * files and arguments mean the same as for a process.
 */
export const startContainer = (
  run: Omit<Run, "path">,
  binary: Binary,
  mounts: ReadonlyArray<{ readonly path: string; readonly mode: "rw" | "ro" }>
): Effect.Effect<LocalProcess, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (cause: unknown) =>
      new LocalFailure({
        what: run.name,
        detail: `${reasonOf(cause)}; the end of ${run.log}:\n${tailOf(run.log)}`,
        cause
      })
    const attempt = <A>(body: () => Promise<A>) => Effect.tryPromise({ try: body, catch: failed })
    // Loaded only here: half a second, and absent where development dependencies are not installed.
    const { GenericContainer, getContainerRuntimeClient, StartupCheckStrategy } = yield* attempt(
      () => import("testcontainers")
    )
    class Created extends StartupCheckStrategy {
      override checkStartupState() {
        return Promise.resolve("SUCCESS" as const)
      }
    }
    const engine = yield* attempt(getContainerRuntimeClient)
    let id: string | undefined
    let name = ""
    let logEnded: Promise<unknown> = Promise.resolve()
    const remove = Effect.suspend(() => {
      id = undefined
      if (name === "") return Effect.void
      const gone = Effect.sync(() => {
        run.ledger.removeContainer(name)
        living.delete(name)
      })
      return attempt(() => engine.container.getById(name).remove({ force: true, v: true })).pipe(
        // Otherwise the ledger keeps it.
        Effect.andThen(gone),
        Effect.ignore
      )
    })
    const create = (extra: ReadonlyArray<string>) =>
      attempt(async () => {
        const log = createWriteStream(run.log, { flags: "a" })
        logEnded = finished(log).catch(() => {})
        const image = new GenericContainer(binary.image ?? binary.name)
        // In the ledger before anything else can happen, and by that in nobody else's care.
        name = `extip-${run.name}-${randomUUID()}`
        run.ledger.addContainer(name)
        living.add(name)
        if (binary.entrypoint !== undefined) image.withEntrypoint([binary.entrypoint])
        const container = await image
          .withName(name)
          .withAutoCleanup(false)
          .withEnvironment((run.env ?? {}) as Record<string, string>)
          .withCommand([...run.args, ...extra])
          .withNetworkMode("host")
          .withUser(`${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`)
          .withBindMounts(mounts.map(({ path, mode }) => ({ source: path, target: path, mode })))
          .withLogConsumer((stream) => stream.pipe(log))
          // Readiness is ours to ask for: no port is mapped, so there is nothing that it could wait for.
          .withWaitStrategy(new Created())
          .start()
        id = container.getId()
      })
    const waitReady = Effect.gen(function* () {
      const deadline = performance.now() + run.readyWithinSeconds * 1000
      while (!(yield* run.ready)) {
        const { State } = yield* attempt(() => engine.container.getById(id!).inspect())
        if (!State.Running) {
          yield* Effect.promise(() => Promise.race([logEnded, sleep(logEndMillis)]))
          return yield* failed(`ended with code ${State.ExitCode} before it was ready`)
        }
        if (performance.now() > deadline) return yield* failed(`not ready after ${run.readyWithinSeconds} s`)
        yield* Effect.sleep(pollMillis)
      }
    })
    const startWith = (extra: ReadonlyArray<string>) =>
      Effect.suspend(() =>
        id === undefined
          ? create(extra).pipe(
              Effect.andThen(waitReady),
              Effect.onError(() => remove)
            )
          : Effect.void
      )
    const running = <A>(body: (container: ReturnType<typeof engine.container.getById>) => Promise<A>) =>
      Effect.suspend(() => {
        const current = id
        return current === undefined
          ? Effect.void
          : Effect.ignore(attempt(() => body(engine.container.getById(current))))
      })
    yield* Effect.acquireRelease(Effect.void, () => remove)
    yield* startWith([])
    return {
      pid: Effect.suspend(() =>
        id === undefined
          ? Effect.die(new Error(`${run.name} does not run`))
          : Effect.promise(async () => (await engine.container.getById(id!).inspect()).State.Pid)
      ),
      log: run.log,
      kill: (signal) =>
        running(async (container) => {
          await container.kill({ signal })
          await container.wait()
        }).pipe(Effect.andThen(remove)),
      start: startWith([]),
      startWith,
      pause: running((container) => container.pause()),
      resume: running((container) => container.unpause())
    }
  })
