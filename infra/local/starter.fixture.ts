// A starter for the tests to kill: starts `sleep`, or takes a lock, tells it in one line, and stays.

import { mkdirSync } from "node:fs"
import { join } from "node:path"
import * as Effect from "effect/Effect"
import { makeLedger } from "./ledger.ts"
import { lock } from "./lock.ts"
import { spawnTied } from "./process.ts"

const [what, folder] = process.argv.slice(2) as [string, string]
const stay = setInterval(() => {}, 60_000)

if (what === "process") {
  const ledger = makeLedger(folder)
  const data = join(folder, `data-${process.pid}`)
  mkdirSync(data)
  ledger.addDirectory(data)
  const child = spawnTied({ name: "sleep", path: "/bin/sleep", args: ["1000"], ledger }, "pipe")
  console.log(JSON.stringify({ pid: child.pid, data }))
} else if (what === "lock") {
  await Effect.runPromise(
    Effect.scoped(
      Effect.andThen(
        lock(join(folder, "lock"), () => {}),
        Effect.andThen(
          Effect.sync(() => console.log("{}")),
          Effect.never
        )
      )
    )
  )
}
clearInterval(stay)
setInterval(() => {}, 60_000)
