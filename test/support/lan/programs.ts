import { closeSync, openSync, readFileSync } from "node:fs"
import { join } from "node:path"
import type { Cables } from "../../../infra/local/cables.ts"
import { isStopped } from "../../../infra/local/identity.ts"
import { spawnTied } from "../../../infra/local/process.ts"
import { until } from "../until.ts"

/** A program that runs on a host of the laboratory. */
export interface HostProgram {
  readonly host: string
  readonly pid: number
  /** What it has printed. */
  readonly log: () => string
  /** Sends the signal; resolves when it has ended, with the exit code, or `null` when the signal ended it. */
  readonly kill: (signal: NodeJS.Signals) => Promise<number | null>
  /** SIGSTOP; resolves when all of its threads have stopped. */
  readonly stop: () => Promise<void>
  /** SIGCONT */
  readonly continue: () => void
  readonly hasEnded: () => boolean
  /** Resolves when it has ended, as `kill`. */
  readonly ended: Promise<number | null>
}

/** Nothing when it has ended. */
export const signal = (pid: number, name: NodeJS.Signals): void => {
  try {
    process.kill(pid, name)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause
  }
}

/** Stops them all, and those that one of them starts before it is stopped. */
export const freeze = async (processes: () => ReadonlyArray<number>): Promise<void> => {
  await until("every process to be stopped", () => {
    const running = processes().filter((pid) => !isStopped(pid))
    for (const pid of running) signal(pid, "SIGSTOP")
    return running.length === 0
  })
}

let started = 0

/** Starts a program inside a host; its output goes to a file in `directory`. */
export const spawnOn = (
  cables: Cables,
  directory: string,
  host: string,
  [command, ...args]: readonly [string, ...ReadonlyArray<string>],
  env: NodeJS.ProcessEnv
): HostProgram => {
  const [path, ...all] = cables.host(host).namespace.inside(command, args)
  const file = join(directory, `${host}-${++started}.log`)
  const output = openSync(file, "a")
  const ledger = cables.namespaces.ledger
  const child = spawnTied({ name: `${command} on ${host}`, path, args: all, ledger, env }, output)
  closeSync(output)
  const ended = new Promise<number | null>((resolve) => {
    child.once("exit", resolve)
    child.once("error", () => resolve(null))
  })
  const hasEnded = () => child.pid === undefined || child.exitCode !== null || child.signalCode !== null
  return {
    host,
    pid: child.pid!,
    log: () => readFileSync(file, "utf8"),
    kill: async (signal) => {
      if (!hasEnded()) child.kill(signal)
      return await ended
    },
    stop: async () => {
      await freeze(() => (hasEnded() ? [] : [child.pid!]))
    },
    continue: () => void child.kill("SIGCONT"),
    hasEnded,
    ended
  }
}
