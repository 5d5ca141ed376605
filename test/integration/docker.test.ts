import { connect } from "node:net"
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { dockerUnavailable, natsImage, settleReaper } from "../../infra/local/index.ts"
import { suite } from "../support/suite.ts"

const unavailable = await Effect.runPromise(dockerUnavailable)

const greeting = (host: string, port: number): Promise<string> =>
  new Promise((done, fail) => {
    const socket = connect({ host, port })
    socket.once("error", fail)
    socket.once("data", (data) => {
      socket.destroy()
      done(data.toString("utf8"))
    })
  })

suite("NATS from its official image", unavailable, () => {
  it("greets through the mapped port, with JetStream on", async () => {
    const say = (line: string) => console.log(line)
    const image = await Effect.runPromise(Effect.scoped(natsImage(say)))
    await Effect.runPromise(settleReaper(say))
    const { GenericContainer, Wait } = await import("testcontainers")
    const container = await new GenericContainer(image)
      .withCommand(["-js"])
      .withExposedPorts(4222)
      .withWaitStrategy(Wait.forLogMessage(/Server is ready/))
      .start()
    try {
      const said = await greeting(container.getHost(), container.getMappedPort(4222))
      assert.include(said, '"jetstream":true')
    } finally {
      await container.stop()
    }
  })
})
