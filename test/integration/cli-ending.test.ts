import { readFileSync } from "node:fs"
import { describe, expect, it } from "@effect/vitest"
import { startProgram } from "../support/programs.ts"
import { until } from "../support/until.ts"

/** Nobody listens there. */
const nats = "nats://127.0.0.1:1"

describe("a process that waits for NATS", () => {
  it.each([
    ["bridge", ["--kubeconfig", "/nowhere"]],
    ["functions", ["--kubeconfig", "/nowhere"]]
  ])("extip %s ends when it is told to, with 0", async (name, more) => {
    const program = await startProgram([name, "--nats", nats, ...more], { LOG_LEVEL: "debug" })
    // It has come so far that it listens for signals.
    await until("its process to have loaded", () => !program.hasEnded() && isWaiting(program.pid), {
      seconds: 20
    })
    expect(await program.kill("SIGTERM")).toBe(0)
  })
})

/** Effect's main program has taken SIGTERM over. */
const isWaiting = (pid: number): boolean => {
  const caught = /SigCgt:\s+([0-9a-f]+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "0"
  return (BigInt(`0x${caught}`) & (1n << 14n)) !== 0n
}
