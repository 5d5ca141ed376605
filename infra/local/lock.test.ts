import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { afterEach, beforeEach, describe } from "vitest"
import { lock } from "./lock.ts"

const fixture = fileURLToPath(new URL("starter.fixture.ts", import.meta.url))
let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "extip-lock-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

/** Another process that holds the lock and is then killed, so that nobody releases it. */
const ownerThatHolds = Effect.acquireRelease(
  Effect.promise(async () => {
    const child = spawn(process.execPath, [fixture, "lock", folder], { stdio: ["ignore", "pipe", "inherit"] })
    await once(child.stdout, "data")
    return child
  }),
  (child) => Effect.sync(() => child.kill("SIGKILL"))
)

describe("a lock", () => {
  it.live("of many at once one works, and the others wait", () =>
    Effect.gen(function* () {
      let [inside, most, waited] = [0, 0, 0]
      const work = Effect.scoped(
        Effect.gen(function* () {
          yield* lock(join(folder, "lock"), (pid) => {
            assert.strictEqual(pid, process.pid)
            waited++
          })
          most = Math.max(most, ++inside)
          yield* Effect.sleep(5)
          inside--
        })
      )
      yield* Effect.all([work, work, work, work], { concurrency: "unbounded" })
      assert.deepStrictEqual({ most, waited }, { most: 1, waited: 3 })
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )

  it.live("that a living process holds is waited for, and told whose it is", () =>
    Effect.gen(function* () {
      const owner = yield* ownerThatHolds
      const told: Array<number> = []
      const waiting = yield* Effect.forkChild(
        Effect.scoped(lock(join(folder, "lock"), (pid) => told.push(pid)))
      )
      yield* Effect.sleep(250)
      assert.deepStrictEqual(told, [owner.pid])
      assert.isUndefined(waiting.pollUnsafe())
      owner.kill("SIGKILL")
      yield* Fiber.join(waiting)
    })
  )

  it.live("of an owner that was killed is taken over, by one only", () =>
    Effect.gen(function* () {
      const owner = yield* ownerThatHolds
      owner.kill("SIGKILL")
      yield* Effect.promise(() => once(owner, "exit"))
      const left = JSON.parse(readFileSync(join(folder, "lock"), "utf8")) as { pid: number }
      assert.strictEqual(left.pid, owner.pid)
      let [inside, most] = [0, 0]
      const work = Effect.scoped(
        Effect.gen(function* () {
          yield* lock(join(folder, "lock"), () => {})
          most = Math.max(most, ++inside)
          yield* Effect.sleep(5)
          inside--
        })
      )
      yield* Effect.all([work, work, work], { concurrency: "unbounded" })
      assert.strictEqual(most, 1)
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )

  it.live("is taken over even if one that took it over was killed half way", () =>
    Effect.gen(function* () {
      const dead = { pid: 1, start: "0", boot: "an earlier one", namespace: "", host: (yield* self).host }
      writeFileSync(join(folder, "lock"), JSON.stringify({ ...dead, token: "a" }))
      writeFileSync(join(folder, "lock.a"), JSON.stringify({ ...dead, token: "b" }))
      yield* Effect.scoped(lock(join(folder, "lock"), () => assert.fail("nobody lives")))
      assert.deepStrictEqual(readdirSync(folder), [])
    })
  )
})

const self = Effect.promise(async () => (await import("./identity.ts")).self)
