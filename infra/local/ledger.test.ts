import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterEach, assert, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest"
import { identify, type ProcessIdentity } from "./identity.ts"
import { makeLedger, sweep } from "./ledger.ts"

const fixture = fileURLToPath(new URL("starter.fixture.ts", import.meta.url))
let folder: string
let said: Array<string>

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "extip-ledger-"))
  said = []
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const say = (line: string) => void said.push(line)
const exited = (child: ChildProcess) =>
  child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : once(child, "exit")

const end = async (child: ChildProcess) => {
  child.kill("SIGKILL")
  await exited(child)
}

/**
 * A starter that has started a process and told which; without PATH it cannot ask the kernel to end that with
 * it.
 */
const starter = async (env: NodeJS.ProcessEnv) => {
  const child = spawn(process.execPath, [fixture, "process", folder], {
    env,
    stdio: ["ignore", "pipe", "inherit"]
  })
  onTestFinished(() => end(child))
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
  const { pid, data } = JSON.parse(line) as { pid: number; data: string }
  const started = identify(pid)
  assert.isDefined(started)
  return { child, started: started!, data }
}

const lives = (one: ProcessIdentity) => identify(one.pid)?.start === one.start

const sleeper = () => {
  const child = spawn("sleep", ["1000"], { stdio: "ignore" })
  onTestFinished(() => end(child))
  return { child, identity: identify(child.pid!)! }
}

const ledgers = () => readdirSync(folder).filter((name) => name.endsWith(".json"))

describe("what a killed start leaves behind", () => {
  it("is ended by the next start, with its data, and nothing else is", async () => {
    const bystander = sleeper()
    const killed = await starter({ PATH: "/nonexistent" })
    const other = await starter({ PATH: "/nonexistent" })
    await end(killed.child)
    assert.isTrue(lives(killed.started), "nobody has ended it yet")
    await sweep(folder, say)
    assert.deepStrictEqual(said, [
      `ended sleep (pid ${killed.started.pid}), left behind by a start that was killed`
    ])
    assert.isFalse(lives(killed.started))
    assert.isFalse(existsSync(killed.data))
    assert.isTrue(lives(other.started), "its starter lives")
    assert.isTrue(existsSync(other.data))
    assert.isTrue(lives(bystander.identity), "no ledger names it")
    await end(other.child)
    await sweep(folder, say)
    assert.isFalse(lives(other.started))
    assert.deepStrictEqual(ledgers(), [])
  })

  it.skipIf(process.platform !== "linux")(
    "dies with its starter where the kernel can be asked for that",
    async () => {
      const killed = await starter(process.env)
      await end(killed.child)
      await expect.poll(() => lives(killed.started), { timeout: 5_000, interval: 10 }).toBe(false)
    }
  )

  it("a process that has got the pid of one that ended is not touched", async () => {
    const newcomer = sleeper()
    const gone = sleeper()
    await end(gone.child)
    await writeLedgerOf(gone.identity, [{ ...newcomer.identity, start: "1", name: "etcd" }])
    await sweep(folder, say)
    assert.isTrue(lives(newcomer.identity))
    assert.deepStrictEqual(said, [])
    assert.deepStrictEqual(ledgers(), [])
  })

  it.each([
    ["another machine", { host: "elsewhere" }],
    ["another container", { namespace: "pid:[1]" }]
  ])("the starter of %s on a shared folder is left alone", async (_, difference) => {
    const innocent = sleeper()
    await writeLedgerOf({ ...innocent.identity, start: "1", ...difference }, [
      { ...innocent.identity, name: "etcd" }
    ])
    await sweep(folder, say)
    assert.isTrue(lives(innocent.identity))
    assert.lengthOf(ledgers(), 1)
  })

  it("after a reboot only the data is removed, whatever the pids are now", async () => {
    const innocent = sleeper()
    const before = { ...innocent.identity, boot: "an earlier one" }
    const data = join(folder, "data")
    mkdirSync(data)
    await writeLedgerOf(before, [{ ...before, name: "etcd" }], [data])
    await sweep(folder, say)
    assert.isTrue(lives(innocent.identity))
    assert.isFalse(existsSync(data))
  })

  it("a container stays listed as long as no Docker daemon answers", async () => {
    const gone = sleeper()
    await end(gone.child)
    vi.stubEnv("DOCKER_HOST", `unix://${join(folder, "docker.sock")}`)
    await writeLedgerOf(gone.identity, [], [], ["extip-etcd-x"])
    await sweep(folder, say)
    vi.unstubAllEnvs()
    assert.lengthOf(ledgers(), 1)
  })
})

const writeLedgerOf = async (
  starter: ProcessIdentity,
  processes: ReadonlyArray<ProcessIdentity & { name: string }>,
  directories: ReadonlyArray<string> = [],
  containers: ReadonlyArray<string> = []
) => {
  const { writeFile } = await import("node:fs/promises")
  await writeFile(join(folder, "1-x.json"), JSON.stringify({ starter, processes, directories, containers }))
}

describe("a ledger", () => {
  it("is there exactly as long as it lists something", () => {
    const ledger = makeLedger(folder)
    const { identity } = sleeper()
    ledger.addProcess("etcd", identity)
    ledger.addDirectory("/tmp/one")
    assert.lengthOf(ledgers(), 1)
    ledger.removeProcess(identity)
    assert.lengthOf(ledgers(), 1)
    ledger.removeDirectory("/tmp/one")
    assert.deepStrictEqual(readdirSync(folder), [])
  })
})
