import { readdirSync, readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/**
 * One process and no other: a pid is used again, the same pid with the same start time on the same boot is
 * not. `start` is in clock ticks since boot, as the kernel gives it.
 */
export interface ProcessIdentity {
  readonly pid: number
  readonly start: string
  readonly boot: string
  /** The pid namespace: the pids of a container are not ours to judge. */
  readonly namespace: string
  readonly host: string
}

const read = <A>(from: () => A, otherwise: A): A => {
  try {
    return from()
  } catch {
    return otherwise
  }
}

const boot = read(() => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim(), "unknown")
const namespace = read(() => readlinkSync("/proc/self/ns/pid"), "unknown")

// From the state on, which is field 3: the name before it may hold spaces and parentheses.
const fieldsOf = (file: string): ReadonlyArray<string> => {
  const stat = read(() => readFileSync(file, "utf8"), "")
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ")
}

/**
 * Whether a SIGSTOP has arrived in all of its threads, which takes a moment. Also when there is no such
 * process.
 */
export const isStopped = (pid: number): boolean => {
  const threads = read(() => readdirSync(`/proc/${pid}/task`), [])
  return threads.every((thread) => !"RSD".includes(fieldsOf(`/proc/${pid}/task/${thread}/stat`)[0] ?? ""))
}

/** Who has this pid now; nobody when it is free, or a zombie that only waits to be reaped. */
export const identify = (pid: number): ProcessIdentity | undefined => {
  const fields = fieldsOf(`/proc/${pid}/stat`)
  const state = fields[0]
  const start = fields[19]
  if (start === undefined || state === "Z" || state === "X") return undefined
  return { pid, start, boot, namespace, host: hostname() }
}

const itself = identify(process.pid)

/** This process. */
export const self: ProcessIdentity = itself ?? {
  pid: process.pid,
  start: `${Math.round(Date.now() - process.uptime() * 1000)}`,
  boot,
  namespace,
  host: hostname()
}

/** `elsewhere`: on another machine or in another pid namespace, so that nothing can be said from here. */
export const fateOf = (one: ProcessIdentity): "lives" | "gone" | "elsewhere" => {
  if (one.host !== self.host) return "elsewhere"
  if (one.boot !== self.boot) return "gone"
  if (one.namespace !== self.namespace) return "elsewhere"
  if (one.pid === self.pid && one.start === self.start) return "lives"
  return identify(one.pid)?.start === one.start ? "lives" : "gone"
}
