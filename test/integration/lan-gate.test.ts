import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, existsSync, mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { sweep } from "../../infra/local/ledger.ts"
import { Lan, withLan } from "../support/lan.ts"
import { until } from "../support/until.ts"

const fixture = fileURLToPath(new URL("../support/lan/lab.fixture.ts", import.meta.url))
const nobody = 65_534

withLan("the laboratory", () => {
  describe("lets TCP through", () => {
    let lan: Lan
    beforeAll(async () => {
      lan = await Lan.open({ nodes: 2 })
    })
    afterAll(async () => {
      await lan.close()
    })
    const get = (url: string) =>
      `fetch("${url}").then(async (r) => console.log(await r.text()), (e) => console.log(e.cause.code))`
    const getOn = (host: string, url: string) => lan.run(host, process.execPath, "-e", get(url))

    it("from a node to a port of this machine, as long as its cable is whole", async () => {
      const server = createServer((_, response) => response.end("outside")).listen(0, "127.0.0.1")
      await once(server, "listening")
      const at = await lan.letOut((server.address() as AddressInfo).port)
      expect((await getOn("n1", `http://${at}`)).trim()).toBe("outside")
      server.closeAllConnections()
      server.close()
      expect((await getOn("n1", `http://${at}`)).trim()).toBe("ECONNRESET")
    })

    it("from this machine to a port of a node's own loopback, also after a reboot", async () => {
      const at = await lan.letIn("n1", 8080)
      const ask = () => fetch(`http://${at}`).then((answer) => answer.text())
      const serve = (said: string) =>
        lan.spawn("n1", process.execPath, [
          "-e",
          `require("http").createServer((_, response) => response.end("${said}")).listen(8080, "127.0.0.1")`
        ])
      await expect(ask()).rejects.toThrow("fetch failed")
      serve("before")
      await until("an answer", async () => (await ask()) === "before")
      await lan.powerCut("n1")
      await expect(ask()).rejects.toThrow("fetch failed")
      await lan.powerOn("n1")
      serve("after")
      await until("an answer", async () => (await ask()) === "after")
    })
  })

  /** Ours, or an ordinary user's: one who may start it from here. */
  const users = process.getuid?.() === 0 ? ["root", "an ordinary user"] : ["an ordinary user"]
  describe.each(users)("in a process of %s", (user) => {
    const start = (...args: ReadonlyArray<string>) => {
      const cache = mkdtempSync(join(tmpdir(), "extip-lan-cache-"))
      chmodSync(cache, 0o777)
      const asNobody = ["setpriv", "--reuid", `${nobody}`, "--regid", `${nobody}`, "--clear-groups", "--"]
      const prefix = user !== "root" && process.getuid?.() === 0 ? asNobody : []
      const [command, ...rest] = [...prefix, process.execPath, fixture, ...args] as [string, ...Array<string>]
      const child = spawn(command, rest, {
        env: { ...process.env, XDG_CACHE_HOME: cache },
        stdio: ["ignore", "pipe", "pipe"]
      })
      let said = ""
      child.stderr.on("data", (data) => {
        said += String(data)
      })
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
      const line = async () => String((await lines.next()).value ?? said)
      return { child, line, cache }
    }
    const opened = async (line: () => Promise<string>) =>
      JSON.parse(await line()) as { uid: number; processes: ReadonlyArray<number>; directory: string }
    const expectGone = async (processes: ReadonlyArray<number>) => {
      expect(processes.length).toBeGreaterThan(6)
      await until("every process to have ended", () => !processes.some((pid) => existsSync(`/proc/${pid}`)))
    }

    it("goes through its faults, and leaves nothing behind", async () => {
      const { child, line, cache } = start()
      const { uid, processes, directory } = await opened(line)
      expect(uid === 0).toBe(user === "root")
      expect(await line()).toBe("closed")
      await once(child, "close")
      await expectGone(processes)
      expect(existsSync(directory)).toBe(false)
      rmSync(cache, { recursive: true, force: true })
    })

    it("leaves no process and no namespace behind when it is killed", async () => {
      const { child, line, cache } = start("stay")
      const { processes, directory } = await opened(line)
      child.kill("SIGKILL")
      await expectGone(processes)
      // The next start does so.
      await sweep(join(cache, "extip", "started"), () => undefined)
      expect(existsSync(directory)).toBe(false)
      rmSync(cache, { recursive: true, force: true })
    })
  })
})
