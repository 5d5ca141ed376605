// Starts a NATS server, tells its pid and store in one line, and stays until it is killed.
import * as Effect from "effect/Effect"
import { ownNatsServer } from "../../infra/local/index.ts"

setInterval(() => {}, 60_000)
await Effect.runPromise(
  Effect.scoped(
    Effect.gen(function* () {
      const server = yield* ownNatsServer()
      const pid = yield* server.process.pid
      yield* Effect.sync(() => console.log(JSON.stringify({ pid, storeDir: server.storeDir })))
      return yield* Effect.never
    })
  )
)
