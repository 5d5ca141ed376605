import { execFile } from "node:child_process"
import { createWriteStream } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalFailure, reasonOf, type Say } from "./failure.ts"
import { identify, type ProcessIdentity } from "./identity.ts"
import type { Binary, Part } from "./parts.ts"
import { type LocalProcess, type Run, tailOf } from "./process.ts"

const answerMillis = 2_000
const pullMillis = 300_000
const pollMillis = 50

const docker = (args: ReadonlyArray<string>, timeout: number): Promise<string | undefined> =>
  new Promise((done) => {
    execFile("docker", args, { timeout }, (failure, _, errors) => {
      done(failure === null ? undefined : errors.trim().split("\n").at(-1) || failure.message)
    })
  })

/** Why no Docker daemon can be used, or nothing when one answers (within 2 s). */
export const dockerUnavailable: Effect.Effect<string | undefined> = Effect.promise(() =>
  docker(["info", "--format", "{{.ServerVersion}}"], answerMillis)
).pipe(Effect.map((failure) => (failure === undefined ? undefined : "no Docker daemon answers")))

/** Whether the part's official images are here, or can be pulled. */
export const haveImages = (
  part: Part,
  say: Say
): Effect.Effect<{ readonly _tag: "Ready" } | { readonly _tag: "Missing"; readonly why: string }> =>
  Effect.gen(function* () {
    const unavailable = yield* dockerUnavailable
    if (unavailable !== undefined) return { _tag: "Missing", why: unavailable }
    for (const { image } of part.binaries) {
      if (image === undefined) continue
      const missing = yield* Effect.promise(() => docker(["image", "inspect", image], answerMillis))
      if (missing === undefined) continue
      say(`${part.name}: pulling ${image}`)
      const failure = yield* Effect.promise(() => docker(["pull", "--quiet", image], pullMillis))
      if (failure === undefined) continue
      say(`${part.name}: Docker answers, but ${image} cannot be pulled: ${failure}`)
      return { _tag: "Missing", why: `${image} cannot be pulled` }
    }
    return { _tag: "Ready" }
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
        what: `${run.name} in Docker`,
        detail: `${reasonOf(cause)}\n${tailOf(run.log)}`,
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
    let main: ProcessIdentity | undefined
    const remove = Effect.suspend(() => {
      const current = id
      id = undefined
      if (current === undefined) return Effect.void
      return Effect.ignore(
        attempt(() => engine.container.getById(current).remove({ force: true, v: true }))
      ).pipe(Effect.ensuring(Effect.sync(() => main !== undefined && run.ledger.removeProcess(main))))
    })
    const create = (extra: ReadonlyArray<string>) =>
      attempt(async () => {
        const log = createWriteStream(run.log, { flags: "a" })
        const image = new GenericContainer(binary.image ?? binary.name)
        if (binary.entrypoint !== undefined) image.withEntrypoint([binary.entrypoint])
        const container = await image
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
        // Its process is in the ledger like any other; what Docker keeps of it then is for testcontainers'
        // reaper.
        main = identify((await engine.container.getById(id).inspect()).State.Pid)
        if (main !== undefined) run.ledger.addProcess(run.name, main)
      })
    const waitReady = Effect.gen(function* () {
      const deadline = performance.now() + run.readyWithinSeconds * 1000
      while (!(yield* run.ready)) {
        const { State } = yield* attempt(() => engine.container.getById(id!).inspect())
        if (!State.Running) return yield* failed(`ended with code ${State.ExitCode} before it was ready`)
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
