import { describe, expect, it } from "@effect/vitest"
import { startProgram } from "../support/programs.ts"
import { until } from "../support/until.ts"

/** Nobody listens there. */
const nats = "nats://127.0.0.1:1"

describe("a process that waits for NATS", () => {
  it.each([
    ["bridge", ["--kubeconfig", "/nowhere"], { LOG_LEVEL: "debug" }],
    ["functions", ["--kubeconfig", "/nowhere", "--log-level", "debug"], { LOG_LEVEL: "error" }]
  ])("extip %s ends when it is told to, with 0", async (name, more, environment) => {
    const program = await startProgram([name, "--nats", nats, ...more], environment)
    await until("it to say so", () => program.log().includes("waiting for NATS"), { seconds: 20 })
    expect(program.log()).toContain("connection refused")
    // A kubelet that asks must not take it for dead.
    expect((await program.page("/healthz")).status).toBe(200)
    expect((await program.page("/readyz")).status).toBe(503)
    expect(await program.kill("SIGTERM")).toBe(0)
  })
})
