import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "@effect/vitest"

const main = fileURLToPath(new URL("main.js", import.meta.url))

describe("extip up", () => {
  it.each([
    ["one node, of which nobody could take over", ["--nodes", "1"], "--nodes 1: there are 2 to 80, or 0"],
    ["more nodes than the LAN has room for", ["--nodes", "81"], "--nodes 81: there are 2 to 80, or 0"],
    ["functions that are not there", ["--from", "/nowhere"], "--from /nowhere: there is no such folder"]
  ])("refuses %s, before anything is started", async (_, args, sentence) => {
    const ran = await new Promise<{ readonly failed: boolean; readonly out: string }>((done) => {
      execFile(process.execPath, [main, "up", "--exit", ...args], (failure, out, error) =>
        done({ failed: failure !== null, out: out + error })
      )
    })
    expect(ran).toEqual({ failed: true, out: expect.stringContaining(sentence) })
    expect(ran.out).not.toContain("Kubernetes")
  })
})
