import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { afterEach, beforeEach, describe } from "vitest"
import { build, builtFolder } from "./build.ts"
import { makeLedger } from "./ledger.ts"
import { nats } from "./parts.ts"

let root: string
let said: Array<string>
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "extip-build-"))
  mkdirSync(join(root, "cache"))
  said = []
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

/** Stands for `go`: it counts its runs and does what the script says with the folder that it was told. */
const compiler = (script: string): string => {
  const path = join(root, "go")
  const into = 'while [ "$1" != "-o" ]; do shift; done; into=$2'
  writeFileSync(path, `#!/bin/sh\necho run >> ${root}/runs\n${into}\n${script}\n`, { mode: 0o755 })
  return path
}

const run = (go: string) => {
  const env = { PATH: process.env.PATH, XDG_CACHE_HOME: join(root, "cache") }
  const ledger = makeLedger(join(root, "started"))
  return {
    folder: builtFolder(nats, env),
    result: build(nats, { env, say: (line) => said.push(line), ledger, go })
  }
}

const runs = () => readFileSync(join(root, "runs"), "utf8").split("\n").length - 1

describe("a build", () => {
  it.live("of two at once one builds and the other waits, and takes it", () =>
    Effect.gen(function* () {
      const go = compiler('sleep 0.3; echo binary > "$into/nats-server"')
      const folders = yield* Effect.all([run(go).result, run(go).result], { concurrency: 2 })
      const { folder } = run(go)
      assert.deepStrictEqual(folders, [folder, folder])
      assert.strictEqual(runs(), 1)
      assert.deepStrictEqual(readdirSync(folder), ["nats-server"])
      assert.include(said, `NATS: waiting for process ${process.pid}, which builds it`)
      assert.include(said, `NATS: took 2.15.2 built meanwhile, from ${folder}`)
      assert.deepStrictEqual(readdirSync(join(root, "started")), [])
    })
  )

  it.live("that fails leaves nothing in the cache and tells what the compiler said", () =>
    Effect.gen(function* () {
      const { folder, result } = run(
        compiler('echo half > "$into/nats-server"; echo "no such module" >&2; exit 1')
      )
      const failure = yield* Effect.flip(result)
      assert.include(failure.message, "ended with code 1:\nno such module")
      assert.isFalse(existsSync(folder))
      assert.deepStrictEqual(readdirSync(join(root, "cache", "extip")), [])
    })
  )

  it.live("that is interrupted ends its compiler and leaves nothing", () =>
    Effect.gen(function* () {
      const { result } = run(compiler("sleep 1000 & wait"))
      yield* Effect.timeoutOption(result, "300 millis")
      assert.strictEqual(runs(), 1)
      assert.deepStrictEqual(readdirSync(join(root, "cache", "extip")), [])
    })
  )

  it.live("tells that it goes on once it takes longer than a second", () =>
    Effect.gen(function* () {
      yield* run(compiler('echo a/package >&2; sleep 1.2; echo binary > "$into/nats-server"')).result
      assert.match(said[0]!, /^NATS: building 2\.15\.2 with Go, 1 s, 1 packages compiled/)
    })
  )
})
