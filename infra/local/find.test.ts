import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, vi } from "vitest"
import { builtFolder } from "./build.ts"
import { controlPlane } from "./controlPlane.ts"
import { type Found, find, suffices } from "./find.ts"
import { makeLedger } from "./ledger.ts"
import { kubernetes, nats, type Part } from "./parts.ts"

let root: string
let said: Array<string>

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "extip-find-"))
  said = []
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(root, { recursive: true, force: true })
})

/** A program that only tells its version. */
const program = (folder: string, name: string, version: string): string => {
  mkdirSync(join(root, folder), { recursive: true })
  const path = join(root, folder, name)
  writeFileSync(path, `#!/bin/sh\necho "${name}: v${version}"\n`, { mode: 0o755 })
  return path
}

const environment = (more: Record<string, string>) => ({
  PATH: join(root, "bin"),
  XDG_CACHE_HOME: join(root, "cache"),
  ...more
})

const search = (part: Part, more: Record<string, string> = {}) =>
  Effect.scoped(
    find(part, {
      env: environment(more),
      say: (line) => said.push(line),
      ledger: makeLedger(join(root, "started")),
      without: ["Docker"]
    })
  )

const pathOf = (found: Found, name: string) => (found._tag === "Binaries" ? found.paths[name] : undefined)

describe("finding a part", () => {
  it.effect("KUBEBUILDER_ASSETS comes before PATH", () =>
    Effect.gen(function* () {
      program("bin", "nats-server", "2.15.0")
      const wanted = program("assets", "nats-server", "2.14.1")
      const found = yield* search(nats, { KUBEBUILDER_ASSETS: join(root, "assets") })
      assert.strictEqual(pathOf(found, "nats-server"), wanted)
      assert.deepStrictEqual(said, [`NATS: took ${wanted} (2.14.1), from KUBEBUILDER_ASSETS`])
    })
  )

  it.effect("PATH comes before what was built before", () =>
    Effect.gen(function* () {
      const wanted = program("bin", "nats-server", "2.12.0")
      const built = builtFolder(nats, environment({}))
      mkdirSync(built, { recursive: true })
      writeFileSync(join(built, "nats-server"), "", { mode: 0o755 })
      assert.strictEqual(pathOf(yield* search(nats), "nats-server"), wanted)
    })
  )

  it.effect("a version that is too old is passed over, and it is said why", () =>
    Effect.gen(function* () {
      const old = program("bin", "nats-server", "2.9.10")
      const built = builtFolder(nats, environment({}))
      mkdirSync(built, { recursive: true })
      writeFileSync(join(built, "nats-server"), "", { mode: 0o755 })
      assert.strictEqual(pathOf(yield* search(nats), "nats-server"), join(built, "nats-server"))
      assert.deepStrictEqual(said, [
        `NATS: passed over ${old}: it is 2.9.10, and 2.12 or later is needed`,
        `NATS: took 2.15.2 built before, from ${built}`
      ])
    })
  )

  it.effect("an API server without an etcd is passed over", () =>
    Effect.gen(function* () {
      const lonely = program("bin", "kube-apiserver", "1.37.2")
      yield* Effect.flip(search(kubernetes))
      assert.deepStrictEqual(said, [
        `Kubernetes: passed over ${lonely}: there is no etcd beside it or on PATH`
      ])
    })
  )

  it.effect("a kubectl is not an API server, which without one is passed over", () =>
    Effect.gen(function* () {
      const kubectl = program("bin", "kubectl", "1.37.2")
      yield* Effect.flip(search(kubernetes))
      const lonely = program("assets", "kube-apiserver", "1.31.0")
      program("assets", "etcd", "3.5.1")
      const assets = { KUBEBUILDER_ASSETS: join(root, "assets") }
      const { message } = yield* Effect.flip(search(kubernetes, { ...assets, PATH: "" }))
      assert.include(message, "kube-apiserver and etcd and kubectl, 1.31 or later, in KUBEBUILDER_ASSETS")
      assert.deepStrictEqual(said, [
        `Kubernetes: passed over ${lonely}: there is no kubectl beside it or on PATH`
      ])
      const found = yield* search(kubernetes, assets)
      assert.strictEqual(pathOf(found, "etcd"), join(root, "assets", "etcd"))
      assert.strictEqual(pathOf(found, "kubectl"), kubectl)
    })
  )

  it.effect("images are not taken where what runs beside them is missing: a build with Go has it", () =>
    Effect.gen(function* () {
      const docker = program("docker", "docker", "28.2")
      writeFileSync(docker, "#!/bin/sh\nexit 0\n", { mode: 0o755 })
      vi.stubEnv("PATH", `${join(root, "docker")}:${process.env["PATH"]}`)
      const withDocker = (env: Record<string, string> = {}) =>
        Effect.scoped(
          find(kubernetes, {
            env: environment(env),
            say: (line) => said.push(line),
            ledger: makeLedger(join(root, "started"))
          })
        )
      const { message } = yield* Effect.flip(withDocker())
      assert.include(message, "Docker, for the official images: there is no kubectl on PATH")
      assert.include(message, "there is no go on PATH")
      program("bin", "kubectl", "1.37.2")
      assert.deepStrictEqual(yield* withDocker(), { _tag: "Images" })
    })
  )

  it.effect("a cluster that is pointed to needs a kubectl, which is said before anything is started", () =>
    Effect.gen(function* () {
      vi.stubEnv("PATH", join(root, "bin"))
      vi.stubEnv("XDG_CACHE_HOME", join(root, "cache"))
      vi.stubEnv("EXTIP_KUBECONFIG", join(root, "nothing"))
      const { message } = yield* Effect.flip(Effect.scoped(controlPlane()))
      assert.strictEqual(message, "EXTIP_KUBECONFIG: kubectl is needed: put one on PATH")
    })
  )

  it.effect("the failure lists all four ways", () =>
    Effect.gen(function* () {
      const { message } = yield* Effect.flip(search(nats))
      for (const way of [
        "EXTIP_NATS_URL",
        "KUBEBUILDER_ASSETS or on PATH",
        "Docker",
        "there is no go on PATH"
      ]) {
        assert.include(message, way)
      }
    })
  )

  it.effect("EXTIP_PARTS=containers takes no binary, and says so where no Docker daemon answers", () =>
    Effect.gen(function* () {
      program("bin", "nats-server", "2.15.0")
      vi.stubEnv("DOCKER_HOST", `unix://${join(root, "docker.sock")}`)
      const { message } = yield* Effect.flip(search(nats, { EXTIP_PARTS: "containers" }))
      assert.strictEqual(message, "NATS: EXTIP_PARTS=containers, and no Docker daemon answers")
      assert.deepStrictEqual(said, [])
    })
  )

  it("another pinned version is built to another place", () => {
    const env = environment({})
    assert.notStrictEqual(builtFolder(nats, env), builtFolder({ ...nats, ldflags: "" }, env))
    assert.notStrictEqual(builtFolder(nats, env), builtFolder({ ...nats, version: "2.15.3" }, env))
  })

  it.each([
    ["1.31.0", true],
    ["1.30.9", false],
    ["2.0.0", true],
    ["1.37.2-rc.0", true]
  ] as const)("%s is at least 1.31: %s", (version, expected) => {
    assert.strictEqual(suffices(version, [1, 31]), expected)
  })
})
