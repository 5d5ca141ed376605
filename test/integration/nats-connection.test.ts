import { createConnection } from "node:net"
import { afterEach, assert, beforeEach, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { ownNatsServer } from "../../infra/local/index.ts"
import { type NatsClient, natsClient } from "../support/natsClient.ts"
import { withNats } from "../support/parts.ts"
import { TcpProxy } from "../support/proxy.ts"
import { until } from "../support/until.ts"

const pingMillis = 500

withNats("a connection to NATS", () => {
  let scope: Scope.Closeable
  let port: number
  let proxy: TcpProxy
  let client: NatsClient

  beforeEach(async () => {
    scope = Scope.makeUnsafe()
    const nats = await Effect.runPromise(ownNatsServer().pipe(Scope.provide(scope)))
    port = Number(new URL(nats.url).port)
    proxy = await TcpProxy.open(port)
    const url = new URL(nats.url)
    url.port = String(proxy.port)
    client = await natsClient({ url: url.href, name: "test", pingMillis }, scope)
    client.connection.subscribe("echo", { callback: (_, message) => void message.respond(message.data) })
    await client.connection.flush()
  })
  afterEach(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    await proxy.close()
  })

  const isServed = async () => {
    const answer = client.connection.request("echo", "hello", { timeout: 1_000 })
    return await answer.then(
      (message) => message.string() === "hello",
      () => false
    )
  }

  /** Bytes that the server says to who connects, before it is spoken to. */
  const greeting = () =>
    new Promise<number>((resolve, reject) => {
      const socket = createConnection(port, "127.0.0.1")
      socket.on("error", reject).once("data", (data) => {
        socket.destroy()
        resolve(data.length)
      })
    })

  it("is there again soon when the server dies just after its greeting", async () => {
    const bytes = await greeting()
    proxy.resetOpen()
    proxy.behave({ _tag: "ResetAfter", bytes: bytes + 1 })
    await until("the second connection to be reset", () => proxy.resets === 2)
    await until("an answer", isServed, { seconds: 10 })
    assert.strictEqual(proxy.opened, 3)
  })

  it("is given up when its peer takes nothing any more, though much is still to be sent", async () => {
    const statuses: Array<string> = []
    client.onStatus((status) => statuses.push(status))
    proxy.stopReadingOpen()
    const piece = new Uint8Array(500_000)
    for (let sent = 0; sent < 40; sent++) client.connection.publish("anything", piece)
    await until("an answer", isServed, { seconds: 15 })
    assert.deepStrictEqual(statuses, ["lost", "connected"])
  })
})
