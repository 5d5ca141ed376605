import { type ChildProcess, execFile } from "node:child_process"
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import type { Ledger } from "../../../infra/local/ledger.ts"
import { spawnTied } from "../../../infra/local/process.ts"
import { until } from "../until.ts"
import { addressOf, type Lan } from "./lan.ts"

const run = promisify(execFile)
const script = fileURLToPath(new URL("machine.sh", import.meta.url))

/** Control groups, version 1: each controller is a hierarchy of its own. */
const controllers = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"] as const
const hierarchies = [...controllers, "systemd"]
const groups = "/sys/fs/cgroup"

/** Why no machine can be had here, or nothing. */
export const machinesUnavailable = (): string | undefined => {
  if (process.getuid?.() !== 0) return "not root"
  const have = readdirSync(groups)
  const missing = hierarchies.filter((one) => !have.includes(one))
  return missing.length === 0 ? undefined : `no control groups of version 1 here (${missing.join(", ")})`
}

const makeGroups = (path: string): void => {
  for (const one of hierarchies) {
    const levels = path.split("/").map((_, index, all) => all.slice(0, index + 1).join("/"))
    for (const level of levels) {
      mkdirSync(join(groups, one, level), { recursive: true })
      // A new one has neither processors nor memory.
      for (const what of one === "cpuset" ? ["cpuset.cpus", "cpuset.mems"] : []) {
        writeFileSync(join(groups, one, level, what), readFileSync(join(groups, one, what)))
      }
    }
  }
}

/** Those of containers that are gone cost the next kubelet seconds each. */
export const removeGroups = async (path: string): Promise<void> => {
  const remove = (folder: string) => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      if (entry.isDirectory()) remove(join(folder, entry.name))
    }
    rmdirSync(folder)
  }
  for (const one of hierarchies) {
    await until(`the control group ${one}/${path} to be empty`, () => {
      try {
        remove(join(groups, one, path))
        return true
      } catch (cause) {
        return (cause as NodeJS.ErrnoException).code === "ENOENT"
      }
    })
  }
}

/** Those that a run which was killed has left behind: they are named after its process. */
export const removeLeftGroups = async (): Promise<void> => {
  for (const name of readdirSync(join(groups, "cpu"))) {
    const pid = /^extip-(\d+)$/.exec(name)?.[1]
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) await removeGroups(name)
  }
}

export interface MachinePlan {
  readonly name: string
  /** The last part of its address and of its MAC. */
  readonly number: number
  /** Its disk and its daemons' logs. */
  readonly directory: string
  /** The cluster's group of control groups. */
  readonly group: string
}

/**
 * A computer, as far as a kubelet can tell: namespaces of its own for network, mounts, processes, host name and
 * control groups, a process 1 that reaps, and `eth0` on the LAN. Its daemons end with it, and it with us.
 */
export class Machine {
  readonly plan: MachinePlan
  readonly #lan: Lan
  readonly #ledger: Ledger
  #outer: ChildProcess | undefined
  #init: number | undefined

  constructor(plan: MachinePlan, lan: Lan, ledger: Ledger) {
    this.plan = plan
    this.#lan = lan
    this.#ledger = ledger
  }

  get name(): string {
    return this.plan.name
  }

  get address(): string {
    return addressOf(this.plan.number)
  }

  get isOn(): boolean {
    return this.#init !== undefined
  }

  get #group(): string {
    return `${this.plan.group}/${this.name}`
  }

  async powerOn(): Promise<void> {
    const { name, directory, number } = this.plan
    mkdirSync(join(directory, "disk"), { recursive: true })
    makeGroups(this.#group)
    const join_ = hierarchies.map((one) => `echo $$ >${groups}/${one}/${this.#group}/cgroup.procs`).join("; ")
    const namespaces =
      "--net --cgroup --mount --uts --ipc --pid --fork --kill-child --mount-proc --propagation private"
    const outer = spawnTied(
      {
        name: `machine ${name}`,
        path: "sh",
        args: ["-c", `${join_}; exec unshare ${namespaces} sh ${script} ${name} ${directory}/disk`],
        ledger: this.#ledger,
        env: { ...process.env, CONTROLLERS: controllers.join(" ") }
      },
      "pipe"
    )
    let said = ""
    for (const pipe of [outer.stdout!, outer.stderr!]) {
      pipe.on("data", (data) => {
        said += String(data)
      })
    }
    this.#outer = outer
    await until(`machine ${name} to be up`, () => said.includes("up\n"), { last: () => said })
    const children = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, "utf8")
    this.#init = Number(children.trim().split(" ")[0])
    await this.#lan.plugIn(number, this.#init)
    await this.run("ip", ["addr", "add", `${this.address}/24`, "dev", "eth0"])
    // Without one a ClusterIP is out of reach for the node itself.
    await this.run("ip", ["route", "add", "default", "via", addressOf(1)])
  }

  /** As when the power is cut: all that runs on it is gone at once, its disk stays. */
  async powerOff(): Promise<void> {
    if (this.#init === undefined) return
    await this.#lan.unplug(this.plan.number)
    const outer = this.#outer!
    const ended = new Promise((resolve) => outer.once("exit", resolve))
    process.kill(this.#init, "SIGKILL")
    this.#init = undefined
    await ended
    await this.#lan.remove(this.plan.number)
    await removeGroups(this.#group)
  }

  /** The command line that runs a program on it, in its control groups. */
  #inside(command: string, args: ReadonlyArray<string>): [string, Array<string>] {
    if (this.#init === undefined) throw new Error(`${this.name} is off`)
    const enter = hierarchies.map((one) => `echo $$ >${groups}/${one}/${this.#group}/cgroup.procs`).join("; ")
    const shell = `${enter}; exec nsenter --target ${this.#init} --mount --uts --ipc --net --pid --cgroup -- "$@"`
    return ["sh", ["-c", shell, "sh", command, ...args]]
  }

  /** Runs it to its end, and answers with what it printed. */
  async run(command: string, args: ReadonlyArray<string>): Promise<string> {
    const [path, all] = this.#inside(command, args)
    return (await run(path, all, { maxBuffer: 1 << 26 })).stdout
  }

  /** Runs it as long as the machine is on; what it prints is in `directory`. The result tells its end. */
  daemon(
    name: string,
    command: string,
    args: ReadonlyArray<string>,
    env: NodeJS.ProcessEnv = {}
  ): ChildProcess {
    const [path, all] = this.#inside(command, args)
    const log = openSync(join(this.plan.directory, `${name}.log`), "a")
    try {
      return spawnTied(
        {
          name: `${name} on ${this.name}`,
          path,
          args: all,
          ledger: this.#ledger,
          env: { ...process.env, ...env }
        },
        log
      )
    } finally {
      closeSync(log)
    }
  }
}

/** What kubelets change for the whole machine that runs them. */
const settings = [
  "kernel.panic",
  "kernel.panic_on_oops",
  "vm.overcommit_memory",
  "vm.panic_on_oom",
  "kernel.keys.root_maxkeys",
  "kernel.keys.root_maxbytes"
]
const settingFile = (name: string) => `/proc/sys/${name.replaceAll(".", "/")}`

export const machineSettings = (): ReadonlyMap<string, string> =>
  new Map(settings.map((name) => [name, readFileSync(settingFile(name), "utf8").trim()]))

export const restoreSettings = (before: ReadonlyMap<string, string>): void => {
  for (const [name, value] of before) writeFileSync(settingFile(name), value)
}
