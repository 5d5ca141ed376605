import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { closeSync, openSync, readFileSync } from "node:fs"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { LocalFailure, reasonOf } from "./failure.ts"
import { identify, isStopped, type ProcessIdentity } from "./identity.ts"
import type { Ledger } from "./ledger.ts"

/** A part that runs on this machine. It ends with the scope it was started in. */
export interface LocalProcess {
  /** Dies with a defect while the process does not run. */
  readonly pid: Effect.Effect<number>
  /** The file that has what it printed, over all starts. */
  readonly log: string
  /** Sends the signal and waits until the process has ended; nothing when it does not run. */
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Starts it again, with the same port and data, and waits until it is ready; nothing when it runs. */
  readonly start: Effect.Effect<void, LocalFailure>
  /** As `start`, with these arguments after the usual ones, until it is started otherwise. */
  readonly startWith: (extra: ReadonlyArray<string>) => Effect.Effect<void, LocalFailure>
  /** SIGSTOP, and waits until it is: alive, its connections open, and silent. */
  readonly pause: Effect.Effect<void>
  /** SIGCONT. */
  readonly resume: Effect.Effect<void>
}

/** How one process is run. */
export interface Run {
  readonly name: string
  /** The binary's path. */
  readonly path: string
  readonly args: ReadonlyArray<string>
  /** Beside our own environment. */
  readonly env?: NodeJS.ProcessEnv
  readonly log: string
  /** Asked until it says yes. It never fails and answers within a second or so. */
  readonly ready: Effect.Effect<boolean>
  readonly readyWithinSeconds: number
  readonly ledger: Ledger
}

const pollMillis = 25
const logTail = 15

/** The kernel ends our children when we die, even by `kill -9`, where setpriv(1) can ask for that. */
let leash: ReadonlyArray<string> | undefined
const leashed = (): ReadonlyArray<string> => {
  const prefix = ["setpriv", "--pdeathsig", "KILL", "--"]
  leash ??=
    spawnSync(prefix[0]!, [...prefix.slice(1), "true"], { stdio: "ignore" }).status === 0 ? prefix : []
  return leash
}

const living = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of living) child.kill("SIGKILL")
})

/**
 * Spawns with output going to `log`, entered in the ledger before anything else can happen. In a session of
 * its own: a Ctrl-C at the terminal is for us, and we end the parts in their order.
 */
export const spawnTied = (
  run: Pick<Run, "name" | "path" | "args" | "ledger"> & {
    readonly env?: NodeJS.ProcessEnv
    readonly cwd?: string
    /** With a channel for messages. */
    readonly ipc?: boolean
  },
  output: number | "pipe"
): ChildProcess => {
  const [command, ...args] = [...leashed(), run.path, ...run.args]
  const child = spawn(command!, args, {
    stdio: ["ignore", output, output, ...(run.ipc === true ? ["ipc" as const] : [])],
    detached: true,
    ...(run.env === undefined ? {} : { env: run.env }),
    ...(run.cwd === undefined ? {} : { cwd: run.cwd })
  })
  const identity: ProcessIdentity | undefined = child.pid === undefined ? undefined : identify(child.pid)
  if (identity !== undefined) run.ledger.addProcess(run.name, identity)
  living.add(child)
  child.once("exit", () => {
    living.delete(child)
    if (identity !== undefined) run.ledger.removeProcess(identity)
  })
  return child
}

/** The last lines of a log, for an error. */
export const tailOf = (log: string): string => {
  try {
    return readFileSync(log, "utf8").trimEnd().split("\n").slice(-logTail).join("\n")
  } catch {
    return ""
  }
}

// One that could not be spawned has no pid, and tells nothing but `error`.
const hasEnded = (child: ChildProcess): boolean =>
  child.pid === undefined || child.exitCode !== null || child.signalCode !== null

const ended = (child: ChildProcess): Effect.Effect<void> =>
  Effect.callback<void>((resume) => {
    if (hasEnded(child)) return resume(Effect.void)
    const listener = () => resume(Effect.void)
    child.once("exit", listener)
    return Effect.sync(() => child.off("exit", listener))
  })

/** Waits until the process is ready; fails when it ends before, or is late. */
const untilReady = (run: Run, child: ChildProcess, failed: () => unknown) =>
  Effect.gen(function* () {
    const deadline = performance.now() + run.readyWithinSeconds * 1000
    const failure = (detail: string) => {
      const cause = failed()
      const why = cause === undefined ? detail : reasonOf(cause)
      return new LocalFailure({
        what: run.name,
        detail: `${why}; the end of ${run.log}:\n${tailOf(run.log)}`
      })
    }
    while (true) {
      // A spawn that failed tells it in the next turn of the event loop.
      if (child.pid === undefined) yield* Effect.sleep(0)
      if (hasEnded(child)) {
        return yield* failure(
          `ended with ${child.signalCode ?? `code ${child.exitCode}`} before it was ready`
        )
      }
      if (yield* run.ready) return
      if (performance.now() > deadline) return yield* failure(`not ready after ${run.readyWithinSeconds} s`)
      yield* Effect.sleep(pollMillis)
    }
  })

/** Starts the process, waits until it is ready, and ends it (SIGKILL) when the scope closes. */
export const startProcess = (run: Run): Effect.Effect<LocalProcess, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    let child: ChildProcess | undefined
    const kill = (signal: NodeJS.Signals) =>
      Effect.suspend(() => {
        const current = child
        if (current === undefined || hasEnded(current)) return Effect.void
        current.kill(signal)
        return ended(current)
      })
    const send = (signal: NodeJS.Signals) => Effect.sync(() => void child?.kill(signal))
    const stopped = Effect.gen(function* () {
      while (child?.pid !== undefined && !isStopped(child.pid)) yield* Effect.sleep(1)
    })
    const startWith = (extra: ReadonlyArray<string>) =>
      Effect.suspend(() => {
        if (child !== undefined && !hasEnded(child)) return Effect.void
        let failure: unknown
        const log = openSync(run.log, "a")
        try {
          const env = run.env === undefined ? {} : { env: { ...process.env, ...run.env } }
          child = spawnTied({ ...run, ...env, args: [...run.args, ...extra] }, log)
        } finally {
          closeSync(log)
        }
        child.once("error", (cause) => {
          failure = cause
        })
        return untilReady(run, child, () => failure).pipe(Effect.onError(() => kill("SIGKILL")))
      })
    yield* Effect.acquireRelease(Effect.void, () => kill("SIGKILL"))
    yield* startWith([])
    return {
      pid: Effect.sync(() => {
        if (child?.pid === undefined || hasEnded(child)) throw new Error(`${run.name} does not run`)
        return child.pid
      }),
      log: run.log,
      kill,
      start: startWith([]),
      startWith,
      pause: send("SIGSTOP").pipe(Effect.andThen(stopped)),
      resume: send("SIGCONT")
    }
  })
