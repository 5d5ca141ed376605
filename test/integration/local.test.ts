import { execFile, spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, it } from "@effect/vitest"
import { CoreV1Api, KubeConfig } from "@kubernetes/client-node"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import * as Effect from "effect/Effect"
import { expect } from "vitest"
import { ownControlPlane, ownNatsServer } from "../../infra/local/index.ts"
import { withControlPlane, withNats, withOwnControlPlane } from "../support/parts.ts"

/** As who may do everything. */
const connectTo = ({ url }: { readonly url: string }) => {
  const { host, username, password } = new URL(url)
  return connect({ servers: host, user: username, pass: password })
}

const run = promisify(execFile)
const api = (kubeconfig: string) => {
  const config = new KubeConfig()
  config.loadFromFile(kubeconfig)
  return config.makeApiClient(CoreV1Api)
}

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "extip-local-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

withControlPlane("the shared control plane", ({ kubeconfig, kubectl, token, version }) => {
  it("lets kubectl in with its kubeconfig", async () => {
    const { stdout } = await run(kubectl, [
      "--kubeconfig",
      kubeconfig,
      "get",
      "namespace",
      "default",
      "-o",
      "name"
    ])
    assert.strictEqual(stdout.trim(), "namespace/default")
  })

  it("lets the client library in with its kubeconfig", async () => {
    const namespace = await api(kubeconfig).readNamespace({ name: "default" })
    assert.strictEqual(namespace.status?.phase, "Active")
  })

  it("is of a version that has the rules of our objects", () => {
    assert.match(version, /^v1\.(3[1-9]|[4-9]\d)\./)
    assert.isNotEmpty(token)
  })
})

withOwnControlPlane("a control plane of one's own", () => {
  it.live("keeps its objects, port and token when both its processes are killed", () =>
    Effect.gen(function* () {
      const own = yield* ownControlPlane()
      const core = api(own.kubeconfig)
      yield* Effect.promise(() => core.createNamespace({ body: { metadata: { name: "kept" } } }))
      const before = yield* own.apiServer.pid
      yield* Effect.all([own.apiServer.kill("SIGKILL"), own.etcd.kill("SIGKILL")])
      yield* own.etcd.start
      yield* own.apiServer.startWith(["--v=1"])
      assert.notStrictEqual(yield* own.apiServer.pid, before)
      const kept = yield* Effect.promise(() => core.readNamespace({ name: "kept" }))
      assert.strictEqual(kept.metadata?.name, "kept")
    })
  )

  it.live(
    "that does not start shows the end of its log",
    () =>
      Effect.gen(function* () {
        const failure = yield* Effect.flip(
          ownControlPlane({ directory: yield* folder, apiServerArgs: ["--nonsense"] })
        )
        assert.include(failure.message, "kube-apiserver: ended with code 1 before it was ready")
        assert.include(failure.message, "unknown flag: --nonsense")
      }),
    // Where it ran in Docker, Docker is suspected first and a build follows.
    600_000
  )
})

withNats("a NATS server of one's own", () => {
  it.live("keeps acknowledged messages and its port when it is killed", () =>
    Effect.gen(function* () {
      const server = yield* ownNatsServer()
      const write = async () => {
        const connection = await connectTo(server)
        const manager = await jetstreamManager(connection)
        await manager.streams.add({ name: "KEPT", subjects: ["kept"] })
        await jetstream(connection).publish("kept", "x".repeat(2_000_000))
        await connection.close()
      }
      const count = async () => {
        const connection = await connectTo(server)
        const manager = await jetstreamManager(connection)
        const { state } = await manager.streams.info("KEPT")
        await connection.close()
        return state.messages
      }
      yield* Effect.promise(write)
      yield* server.process.kill("SIGKILL")
      yield* server.process.start
      assert.strictEqual(yield* Effect.promise(count), 1)
    })
  )

  it.live("says nothing while it is paused, and goes on when it is resumed", () =>
    Effect.gen(function* () {
      const server = yield* ownNatsServer()
      const connection = yield* Effect.promise(() => connectTo(server))
      yield* server.process.pause
      const answer = connection.flush().then(() => "answered")
      const silence = Effect.as(Effect.sleep(200), "silent")
      assert.strictEqual(
        yield* Effect.race(
          Effect.promise(() => answer),
          silence
        ),
        "silent"
      )
      yield* server.process.resume
      assert.strictEqual(yield* Effect.promise(() => answer), "answered")
      yield* Effect.promise(() => connection.close())
    })
  )

  it.live("is gone with its scope, and so is its data", () =>
    Effect.gen(function* () {
      const { pid, storeDir } = yield* Effect.scoped(
        Effect.gen(function* () {
          const server = yield* ownNatsServer()
          return { pid: yield* server.process.pid, storeDir: server.storeDir }
        })
      )
      assert.throws(() => process.kill(pid, 0), "ESRCH")
      assert.isFalse(existsSync(dirname(storeDir)))
    })
  )

  it.live("whose starter was killed is gone, and its data with the next start", () =>
    Effect.gen(function* () {
      const starter = fileURLToPath(new URL("../support/natsStarter.fixture.ts", import.meta.url))
      const child = spawn(process.execPath, [starter], { stdio: ["ignore", "pipe", "inherit"] })
      const { pid, storeDir } = yield* Effect.promise(async () => {
        const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
        return JSON.parse(line) as { pid: number; storeDir: string }
      })
      process.kill(pid, 0)
      child.kill("SIGKILL")
      yield* Effect.promise(() => once(child, "exit"))
      yield* ownNatsServer()
      yield* Effect.promise(() =>
        expect.poll(() => existsSync(`/proc/${pid}`), { timeout: 5_000, interval: 10 }).toBe(false)
      )
      assert.isFalse(existsSync(dirname(storeDir)))
    })
  )
})
