import { randomUUID } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { docker } from "./docker.ts"
import type { Say } from "./failure.ts"
import { fateOf, type ProcessIdentity, self } from "./identity.ts"

const dockerMillis = 20_000

interface Entry {
  readonly starter: ProcessIdentity
  readonly processes: ReadonlyArray<ProcessIdentity & { readonly name: string }>
  readonly directories: ReadonlyArray<string>
  /** Their names in Docker. */
  readonly containers?: ReadonlyArray<string>
}

/** What this process has started and must not leave behind: one file, there as long as it lists something. */
export interface Ledger {
  /** A process that is ended by the next start if this one dies first. */
  readonly addProcess: (name: string, process: ProcessIdentity) => void
  readonly removeProcess: (process: ProcessIdentity) => void
  /** A directory that is removed by the next start if this one dies first. */
  readonly addDirectory: (path: string) => void
  readonly removeDirectory: (path: string) => void
  /** A container, by its name, that is removed by the next start if this one dies first. */
  readonly addContainer: (name: string) => void
  readonly removeContainer: (name: string) => void
}

/** `folder` is private to the user: what a file in it lists will be killed and removed. */
export const makeLedger = (folder: string): Ledger => {
  const file = join(folder, `${self.pid}-${randomUUID()}.json`)
  let entry: Required<Entry> = { starter: self, processes: [], directories: [], containers: [] }
  const change = (next: Required<Entry>) => {
    entry = next
    const lists = [next.processes, next.directories, next.containers]
    if (lists.every(({ length }) => length === 0)) return rmSync(file, { force: true })
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    // Renamed into place: a reader never sees half a list. Synchronous: a spawn and its entry are one step.
    writeFileSync(`${file}.draft`, JSON.stringify(next), { mode: 0o600 })
    renameSync(`${file}.draft`, file)
  }
  return {
    addProcess: (name, one) => change({ ...entry, processes: [...entry.processes, { ...one, name }] }),
    removeProcess: (one) =>
      change({
        ...entry,
        processes: entry.processes.filter((other) => other.pid !== one.pid || other.start !== one.start)
      }),
    addDirectory: (path) => change({ ...entry, directories: [...entry.directories, path] }),
    removeDirectory: (path) =>
      change({ ...entry, directories: entry.directories.filter((other) => other !== path) }),
    addContainer: (name) => change({ ...entry, containers: [...entry.containers, name] }),
    removeContainer: (name) =>
      change({ ...entry, containers: entry.containers.filter((other) => other !== name) })
  }
}

const entryOf = (file: string): Entry | undefined => {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as Entry
  } catch {
    return undefined
  }
}

const end = async (one: ProcessIdentity): Promise<boolean> => {
  // Compared again right before the signal: the pid alone might be somebody else's by now.
  if (fateOf(one) !== "lives") return false
  try {
    process.kill(one.pid, "SIGKILL")
  } catch {
    return false
  }
  const deadline = Date.now() + 5_000
  while (fateOf(one) === "lives" && Date.now() < deadline) await sleep(10)
  return true
}

/** Whether it is gone now; not when Docker does not answer. Its name has a random part: no other can have it. */
const removeContainer = async (name: string, say: Say): Promise<boolean> => {
  const there = await docker(["container", "inspect", "--format", "{{.Name}}", name], dockerMillis)
  if ("failure" in there) return there.failure.toLowerCase().includes("no such container")
  if ("failure" in (await docker(["rm", "--force", "--volumes", name], dockerMillis))) return false
  say(`removed the container ${name}, left behind by a start that was killed`)
  return true
}

/**
 * Ends what starters that no longer live have left behind: exactly the processes that their ledgers name, by
 * pid and start time, their directories, and their containers. A living starter's entries, and those of another machine or
 * container on a shared folder, are left alone.
 */
export const sweep = async (folder: string, say: Say): Promise<void> => {
  let names: ReadonlyArray<string>
  try {
    names = readdirSync(folder)
  } catch {
    return
  }
  for (const name of names) {
    if (!name.endsWith(".json")) continue
    const file = join(folder, name)
    const entry = entryOf(file)
    if (entry === undefined || fateOf(entry.starter) !== "gone") continue
    for (const one of entry.processes) {
      if (await end(one)) say(`ended ${one.name} (pid ${one.pid}), left behind by a start that was killed`)
    }
    let kept = 0
    for (const name of entry.containers ?? []) if (!(await removeContainer(name, say))) kept++
    for (const directory of entry.directories) rmSync(directory, { recursive: true, force: true })
    // For a start that finds Docker running.
    if (kept > 0) continue
    rmSync(file, { force: true })
    rmSync(`${file}.draft`, { force: true })
  }
}
