import { type ChildProcess, execFile, spawnSync } from "node:child_process"
import { readdirSync, readlinkSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { cacheFolder } from "./cache.ts"
import { LocalFailure, reasonOf } from "./failure.ts"
import { type Ledger, makeLedger, sweep } from "./ledger.ts"
import { spawnTied } from "./process.ts"

const ledgerFolder = () => join(cacheFolder(process.env), "started")

const run = promisify(execFile)

/** What is run inside: the kernel ends it when we die. Entering a user namespace clears what was asked for before. */
const tied = ["setpriv", "--pdeathsig", "KILL", "--"] as const
const ownUser = ["--user", "--map-root-user"] as const

/**
 * Whoever holds the namespace. A new one takes over some settings of the machine, so what matters is set: an address is
 * answered for on every link, nothing is announced or passed on by the kernel itself. No duplicate address detection: an
 * address is there at once, as on a machine that has been up for a while; no router solicitations, there is no router.
 */
const holder = `
cd /proc/sys/net
for i in all default; do
  for s in arp_ignore arp_announce arp_notify rp_filter proxy_arp forwarding; do echo 0 >ipv4/conf/$i/$s; done
  [ -d ipv6/conf/$i ] || continue
  for s in accept_dad router_solicitations disable_ipv6 forwarding; do echo 0 >ipv6/conf/$i/$s; done
done
echo '0 0' >ipv4/ping_group_range
ip link set lo up && echo up
exec sleep 2147483647`

/** How namespaces can be had here: plainly, or inside a user namespace; else why not. */
export type NamespaceSupport =
  | { readonly how: "root" | "user" }
  | { readonly how: "unavailable"; readonly reason: string }

const tryWith = (...flags: ReadonlyArray<string>): string | undefined => {
  const tried = spawnSync("unshare", [...flags, "--net", "--", ...tied, "sh", "-c", "ip link set lo up"], {
    encoding: "utf8",
    timeout: 10_000
  })
  if (tried.status === 0) return undefined
  return tried.error?.message ?? (tried.stderr.trim() || `ended with ${tried.signal ?? tried.status}`)
}

const findOut = (): NamespaceSupport => {
  const asRoot = process.getuid?.() === 0 ? tryWith() : "not root"
  if (asRoot === undefined) return { how: "root" }
  const asUser = tryWith(...ownUser)
  if (asUser === undefined) return { how: "user" }
  return { how: "unavailable", reason: `neither as root (${asRoot}) nor in a user namespace (${asUser})` }
}
let support: NamespaceSupport | undefined

/** Whether this machine lets us have network namespaces of our own; found out by making one. */
export const namespaceSupport = (): NamespaceSupport => {
  support ??= findOut()
  return support
}

/** A network namespace: there as long as the process that holds it, or any other inside, lives. */
export interface Namespace {
  readonly name: string
  /** The process that holds it. */
  readonly pid: number
  /** The command line that runs a program inside, with all capabilities there; it keeps its pid. */
  readonly inside: (command: string, args: ReadonlyArray<string>) => [string, ...Array<string>]
  /** Runs it to its end, and answers with what it printed. */
  readonly run: (command: string, args: ReadonlyArray<string>, input?: string) => Promise<string>
  /** `ip -batch`: one command a line, ended by the first that fails. */
  readonly ip: (lines: ReadonlyArray<string>) => Promise<void>
  /** Every process inside but the holder, whoever started it. */
  readonly processes: () => ReadonlyArray<number>
  /** SIGKILL to each of them. */
  readonly killAll: () => void
  /** Kills the holder and everything inside. The kernel takes its links down soon after, not at once. */
  readonly end: () => void
}

const failure = (what: string) => (cause: unknown) => {
  const said = cause instanceof Error && "stderr" in cause ? String(cause.stderr).trim() : ""
  return new LocalFailure({ what, detail: said || reasonOf(cause), cause })
}

/** Who is in the same network namespace, as far as we may look. */
const processesBeside = (pid: number): ReadonlyArray<number> => {
  const netOf = (one: number | string) => {
    try {
      return readlinkSync(`/proc/${one}/ns/net`)
    } catch {
      return undefined
    }
  }
  const net = netOf(pid)
  if (net === undefined || net === netOf("self")) return []
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && netOf(name) === net)
    .map(Number)
    .filter((one) => one !== pid)
}

const killed = (pid: number): void => {
  try {
    process.kill(pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

/** Waits until the holder says that its namespace is there. */
const untilUp = async (name: string, child: ChildProcess): Promise<void> => {
  let [out, said] = ["", ""]
  child.stderr!.on("data", (data) => {
    said += String(data)
  })
  const up = new Promise<boolean>((resolve) => {
    child.stdout!.on("data", (data) => {
      out += String(data)
      if (out.includes("up\n")) resolve(true)
    })
    child.once("exit", () => resolve(false))
    child.once("error", (cause) => {
      said += cause.message
      resolve(false)
    })
  })
  if (!(await up)) throw new LocalFailure({ what: `network namespace ${name}`, detail: said.trim() })
  // What it holds must not keep us from ending.
  child.unref()
  for (const pipe of [child.stdout, child.stderr]) (pipe as unknown as { unref(): void }).unref()
}

/** Network namespaces that end with us, however we end; without root they share one user namespace. */
export class Namespaces {
  /** Everything that must not be left behind stands in it. */
  readonly ledger: Ledger = makeLedger(ledgerFolder())
  readonly #open = new Map<string, Namespace>()
  /** Where every other one is entered from: it holds the user namespace as well. */
  #first: Promise<Namespace> | undefined

  /** Opens one. Of several that are asked for at once, the first one is there before the others. */
  async open(name: string): Promise<Namespace> {
    if (this.#first !== undefined) return await this.#make(name, await this.#first)
    this.#first = sweep(ledgerFolder(), () => undefined).then(() => this.#make(name, undefined))
    return await this.#first
  }

  /** Ends all of them, and all that runs inside. */
  close(): void {
    for (const one of [...this.#open.values()].reverse()) one.end()
  }

  async #make(name: string, first: Namespace | undefined): Promise<Namespace> {
    const how = namespaceSupport()
    if (how.how === "unavailable") throw new LocalFailure({ what: "network namespaces", detail: how.reason })
    const asUser = how.how === "user"
    const user = first === undefined ? undefined : `--user=/proc/${first.pid}/ns/user`
    const enterUser = asUser && user !== undefined ? ["nsenter", user, "--preserve-credentials", "--"] : []
    const makeUser = asUser && first === undefined ? ownUser : []
    const line = [...enterUser, "unshare", ...makeUser, "--net", "--", ...tied, "sh", "-c", holder]
    const child = spawnTied(
      { name: `namespace ${name}`, path: line[0]!, args: line.slice(1), ledger: this.ledger },
      "pipe"
    )
    await untilUp(name, child)
    const pid = child.pid!
    const entered = asUser ? [`--user=/proc/${pid}/ns/user`, "--preserve-credentials"] : []
    const prefix = ["nsenter", `--net=/proc/${pid}/ns/net`, ...entered, "--", ...tied] as const
    const runInside = async (command: string, args: ReadonlyArray<string>, input?: string) => {
      const running = run(prefix[0], [...prefix.slice(1), command, ...args], { maxBuffer: 1 << 28 })
      // One that ends before it has read everything says why by itself.
      running.child.stdin!.on("error", () => undefined)
      running.child.stdin!.end(input ?? "")
      return (await running.catch((cause) => Promise.reject(failure(`${command} in ${name}`)(cause)))).stdout
    }
    const killAll = () => {
      for (const one of processesBeside(pid)) killed(one)
    }
    const made: Namespace = {
      name,
      pid,
      inside: (command, args) => [...prefix, command, ...args],
      run: runInside,
      ip: async (lines) => void (await runInside("ip", ["-batch", "-"], `${lines.join("\n")}\n`)),
      processes: () => processesBeside(pid),
      killAll,
      end: () => {
        this.#open.delete(name)
        killAll()
        child.kill("SIGKILL")
      }
    }
    this.#open.set(name, made)
    return made
  }
}
