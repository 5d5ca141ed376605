import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { type Consumer, DeliverPolicy } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type NatsCluster, ownNatsCluster } from "../../infra/local/index.ts"
import { watchOver } from "../../runtime/nats/watchOver.ts"
import { type NatsClient, natsClient } from "../support/natsClient.ts"
import { withNats } from "../support/parts.ts"
import { until } from "../support/until.ts"

withNats("what is read from one of three NATS servers ends when that one is lost,", () => {
  const scope = Scope.makeUnsafe()
  let cluster: NatsCluster
  let client: NatsClient

  const run = <A>(effect: Effect.Effect<A, unknown>) => Effect.runPromise(effect)
  const connected = () => cluster.members.find(({ port }) => port === client.connection.info?.port)

  beforeAll(async () => {
    cluster = await run(ownNatsCluster(3).pipe(Scope.provide(scope)))
    client = await natsClient({ url: cluster.url, name: "test" }, scope)
    await client.jsm.streams.add({ name: "READ", subjects: ["read"], num_replicas: 3 })
    // The server that we are connected to may not have heard of the stream's leader yet; by its id it is stored once.
    for (let i = 0; i < 5; i++) {
      await until("the stream to take it", () => client.js.publish("read", "", { msgID: `${i}` }))
    }
  })
  afterAll(() => run(Scope.close(scope, Exit.void)))

  it.each([
    ["to which we are connected", true],
    ["to which we are not connected", false]
  ])(
    "%s",
    async (_, isOurs) => {
      let name: string | undefined
      const consumer = await until("a consumer there", async (): Promise<Consumer | undefined> => {
        const made = await client.js.consumers.get("READ", { deliver_policy: DeliverPolicy.All })
        name = (await made.info()).cluster?.leader ?? undefined
        return (name === connected()?.name) === isOurs ? made : undefined
      })
      let received = 0
      let isWhole = false
      const messages = await consumer.consume({
        max_messages: 100,
        expires: 5_000,
        idle_heartbeat: 1_000,
        callback: (message) => {
          received = message.info.deliverySequence
        }
      })
      watchOver(
        client.js,
        consumer,
        messages,
        () => received,
        () => {
          isWhole = true
        }
      )
      await until("everything to be read", () => isWhole)
      expect(received).toBe(5)
      const lost = cluster.members.find((member) => member.name === name)!
      await run(lost.process.kill("SIGKILL"))
      const end = await messages.closed()
      expect(String(end)).toContain("the NATS server that it was read from is away")
      await run(lost.process.start)
    },
    60_000
  )
})
