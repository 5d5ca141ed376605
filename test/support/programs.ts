import { spawn } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { repository } from "./cluster.ts"
import { until } from "./until.ts"

const main = join(repository, "runtime/cli/main.js")

/** Our own environment; compiled sources are kept between starts, of which the suites have a hundred. */
const ownEnv = { ...process.env, NODE_COMPILE_CACHE: join(repository, "node_modules/.cache/extip") }

export interface Ran {
  readonly code: number | null
  readonly out: string
  readonly error: string
}

/** Runs `extip …` to its end, as a user would at a shell. */
export const extip = (args: ReadonlyArray<string>, env: NodeJS.ProcessEnv = {}): Promise<Ran> =>
  new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [main, ...args], { env: { ...ownEnv, ...env } })
    let [out, error] = ["", ""]
    child.stdout.on("data", (data) => {
      out += String(data)
    })
    child.stderr.on("data", (data) => {
      error += String(data)
    })
    child.once("error", reject)
    child.once("close", (code) => resolve({ code, out, error }))
  })

/** One of our processes, as an administrator runs it. */
export interface Program {
  readonly pid: number
  /** What it has printed. */
  readonly log: () => string
  /** What it answers at `/healthz`, `/readyz` or `/metrics`. */
  readonly page: (path: string) => Promise<Response>
  readonly isReady: () => Promise<boolean>
  readonly ready: () => Promise<void>
  /** The page `/metrics`. */
  readonly metrics: () => Promise<string>
  /** Sends the signal; resolves with the exit code, or `null` when the signal ended it. */
  readonly kill: (signal: NodeJS.Signals) => Promise<number | null>
  readonly hasEnded: () => boolean
}

/** What is left to do for programs that were started, when this process ends. One listener: a suite starts dozens. */
const leftovers = new Set<() => void>()
process.once("exit", () => {
  for (const end of leftovers) end()
})

/** Starts `extip bridge …` or `extip functions …`. */
export const startProgram = async (
  args: ReadonlyArray<string>,
  env: NodeJS.ProcessEnv = {}
): Promise<Program> => {
  const folder = mkdtempSync(join(tmpdir(), "extip-program-"))
  const file = join(folder, "log")
  // The file is written by a shell's redirection: a test that is busy need not read a pipe meanwhile.
  const child = spawn(
    "/bin/sh",
    ["-c", `exec "$0" "$@" >"${file}" 2>&1`, process.execPath, main, ...args, "--http", "127.0.0.1:0"],
    { env: { ...ownEnv, ...env }, stdio: "ignore" }
  )
  const ended = new Promise<number | null>((resolve) => child.once("exit", resolve))
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null
  const log = () => readFileSync(file, "utf8")
  // The kernel chooses the port, and the program says which: one that was free before may be another's by now.
  let health: string | undefined
  const page = async (path: string) => {
    health ??= /health and metrics at (\S+)/.exec(log())?.[1]
    if (health === undefined) throw new Error("it serves nothing yet")
    return await fetch(health + path)
  }
  const isReady = () =>
    page("/readyz").then(
      (answer) => answer.ok,
      () => false
    )
  leftovers.add(() => {
    child.kill("SIGKILL")
    rmSync(folder, { recursive: true, force: true })
  })
  return {
    pid: child.pid!,
    log,
    page,
    isReady,
    ready: async () => {
      await until(
        `extip ${args[0]} to be ready`,
        async () => {
          if (hasEnded()) throw new Error(`extip ${args[0]} has ended: ${log()}`)
          return await isReady()
        },
        { seconds: 30, last: () => log().split("\n").slice(-8).join("\n") }
      )
    },
    metrics: async () => await (await page("/metrics")).text(),
    kill: async (signal) => {
      if (!hasEnded()) child.kill(signal)
      return await ended
    },
    hasEnded
  }
}
