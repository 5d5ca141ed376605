import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type Server } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dockerUnavailable } from "../../infra/local/docker.ts"
import { find } from "../../infra/local/find.ts"
import { pull } from "../../infra/local/images.ts"
import { makeLedger } from "../../infra/local/ledger.ts"
import * as parts from "../../infra/local/parts.ts"
import { suite } from "../support/suite.ts"

const unavailable = await Effect.runPromise(dockerUnavailable)

suite("an image whose registry", unavailable, () => {
  /** It takes connections, and says nothing: as a firewall that drops what it does not like. */
  let silent: Server
  let port: number
  let folder: string

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "extip-images-"))
    silent = createServer()
    await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done))
    port = (silent.address() as { port: number }).port
  })
  afterAll(() => {
    silent?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it("says nothing is given up soon", async () => {
    const started = performance.now()
    expect(await pull(`127.0.0.1:${port}/extip-silent:1`, 1_000)).toBe("its registry said nothing for 1 s")
    expect(performance.now() - started).toBeLessThan(5_000)
  })

  it("cannot be reached is made here, under that name, which is said; and it is not taken for theirs later", async () => {
    // Nobody listens there.
    const image = "127.0.0.1:1/extip-unreachable:1"
    const part = { ...parts.nats, binaries: [{ ...parts.nats.binaries[0]!, image }] }
    const found = async () => {
      const said: Array<string> = []
      const search = {
        env: { ...process.env, EXTIP_PARTS: "containers" },
        say: (line: string) => void said.push(line),
        ledger: makeLedger(folder)
      }
      await Effect.runPromise(Effect.scoped(find(part, search)))
      return said
    }
    try {
      const said = await found()
      expect(said[0]).toBe(`NATS: pulling ${image}`)
      expect(said[1]).toContain(`NATS: Docker answers, but ${image} cannot be pulled: `)
      expect(said.at(-2)).toContain(`NATS: made ${image} FROM scratch, of the nats-server in `)
      expect(said.at(-1)).toBe("NATS: took images made here, with Docker")
      const version = execFileSync("docker", ["run", "--rm", "--network=none", image, "--version"], {
        encoding: "utf8"
      })
      expect(version.trim()).toBe(`nats-server: v${parts.nats.version}`)
      expect(await found()).toEqual(["NATS: took images made here, with Docker"])
    } finally {
      execFileSync("docker", ["image", "rm", "--force", image], { stdio: "ignore" })
    }
  }, 120_000)
})
