import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type NatsRole, type OwnNatsServer, ownNatsServer } from "../../infra/local/index.ts"
import { type HostNews, runHost } from "../../runtime/host/host.ts"
import { ensureCommon, ensureLog } from "../../runtime/nats/streams.ts"
import { MemoryApi } from "../../runtime/testkit.ts"
import { type NatsClient, natsClient } from "../support/natsClient.ts"
import { withNats } from "../support/parts.ts"
import { until } from "../support/until.ts"

/** What would hurt, if somebody could publish there. */
const subjects = {
  event: "kube.core.services.default.web.added",
  tick: "kube.tick.sweep",
  wake: "kube.wake.sweep.core.services.default.web",
  lease: "$KV.bridge.active",
  synced: "$KV.bridge.synced.core.services",
  world: "$KV.kube.core.services.default.web",
  place: "$KV.assignments.n1.10-0-0-1",
  presence: "$KV.nodes.n1",
  report: "node.n1.10-0-0-1.bound",
  parked: "parked.sweep.core.services.default.web",
  span: "trace.1.2.3",
  wipe: "$JS.API.STREAM.DELETE.KUBE",
  wipeWorld: "$JS.API.STREAM.DELETE.KV_kube",
  wipeNodes: "$JS.API.STREAM.DELETE.KV_nodes",
  wipePlaces: "$JS.API.STREAM.DELETE.KV_assignments",
  purge: "$JS.API.STREAM.PURGE.KUBE",
  purgePlaces: "$JS.API.STREAM.PURGE.KV_assignments",
  change: "$JS.API.STREAM.UPDATE.KUBE",
  resize: "$JS.API.STREAM.UPDATE.KV_bridge",
  make: "$JS.API.STREAM.CREATE.OTHER",
  forget: "$JS.API.STREAM.MSG.DELETE.PARKED",
  erase: "$JS.API.STREAM.MSG.DELETE.KUBE",
  restore: "$JS.API.STREAM.RESTORE.KUBE",
  backup: "$JS.API.STREAM.SNAPSHOT.KUBE",
  consume: "$JS.API.CONSUMER.CREATE.KUBE",
  hijack: "$JS.API.CONSUMER.DURABLE.CREATE.KUBE.sweep",
  rewire: "$JS.API.CONSUMER.CREATE.KUBE.sweep",
  steal: "$JS.API.CONSUMER.MSG.NEXT.KUBE.sweep",
  stop: "$JS.API.CONSUMER.DELETE.KUBE.sweep",
  ack: "$JS.ACK.KUBE.sweep.1.1.1.1.1",
  readSpans: "$JS.API.CONSUMER.CREATE.TRACE",
  readEvents: "$JS.API.DIRECT.GET.KUBE",
  readWorld: "$JS.API.DIRECT.GET.KV_kube.$KV.kube.core.services.default.web",
  readReports: "$JS.API.CONSUMER.CREATE.NODE",
  readParked: "$JS.API.CONSUMER.CREATE.PARKED",
  account: "$JS.API.ACCOUNT.PURGE.x",
  server: "$SYS.REQ.SERVER.PING",
  answers: "_INBOX_functions.x.y"
}

const all = Object.keys(subjects) as ReadonlyArray<keyof typeof subjects>
const but = (...may: ReadonlyArray<keyof typeof subjects>) => all.filter((name) => !may.includes(name))
const mayNot: Readonly<Record<Exclude<NatsRole, "admin">, ReadonlyArray<keyof typeof subjects>>> = {
  bridge: but(
    "event",
    "lease",
    "synced",
    "wipe",
    "wipeWorld",
    "change",
    "resize",
    "make",
    "readEvents",
    "readWorld"
  ),
  functions: but(
    ...(["tick", "wake", "place", "parked", "span", "consume", "hijack", "rewire", "steal", "stop"] as const),
    ...(["ack", "readEvents", "readReports"] as const)
  ),
  node: but("presence", "report", "span"),
  reader: but("readSpans", "readEvents", "readWorld", "readParked")
}
const roles = Object.keys(mayNot) as ReadonlyArray<keyof typeof mayNot>

withNats("on NATS", () => {
  const scope = Scope.makeUnsafe()
  let server: OwnNatsServer
  const clients = new Map<NatsRole, NatsClient>()
  const as = (role: NatsRole) => clients.get(role)!

  beforeAll(async () => {
    server = await Effect.runPromise(ownNatsServer().pipe(Scope.provide(scope)))
    for (const role of ["admin", ...roles] as const) {
      clients.set(role, await natsClient({ url: server.as(role), name: role }, scope))
    }
    await ensureCommon(as("admin").jsm)
    await ensureLog(as("admin").jsm, undefined, 120)
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  it("a host whose user may not do what it needs says what that is", async () => {
    const news: Array<HostNews> = []
    const stop = new AbortController()
    const { api, context } = { api: new MemoryApi(), context: Context.empty() as Context.Context<never> }
    const say = (one: HostNews) => news.push(one)
    const running = runHost({ functions: [], ...as("reader"), api, context, say }, stop.signal)
    await until("the host to say why it waits", () => news.length > 0)
    stop.abort()
    await running
    expect(news[0]).toMatchObject({
      _tag: "Waiting",
      message: expect.stringMatching(
        /^NATS does not give us the streams: .*Permissions Violation for Publish to "\$JS\.API\.STREAM\.CREATE\.KV_bridge"/i
      )
    })
  })

  /** What the server says to a publication there: nothing, or that it is refused. */
  const refusal = async (connection: NatsConnection, subject: string) => {
    // Nothing that would be understood: whether it may be said is all that is asked.
    const asked = connection.request(subject, "?", { timeout: 300 })
    return await asked.then(
      () => "let through",
      (cause: Error) => (cause.message.includes("Permissions Violation") ? "refused" : "let through")
    )
  }

  it.each(roles.map((role) => [role] as const))(
    "%s is refused whatever is not its own to say",
    async (role) => {
      for (const name of mayNot[role]) {
        expect([name, await refusal(as(role).connection, subjects[name])]).toEqual([name, "refused"])
      }
    }
  )

  it.each(roles.map((role) => [role] as const))(
    "%s hears nothing but the answers to itself",
    async (role) => {
      for (const subject of [">", "kube.>", "node.>", "$KV.>", "$JS.EVENT.>", "_INBOX.>", "_INBOX_admin.>"]) {
        const heard = await new Promise<string>((resolve) => {
          const subscription = as(role).connection.subscribe(subject, {
            callback: (error) => resolve(error === null ? "heard" : error.message)
          })
          void as(role)
            .connection.flush()
            .then(() => setTimeout(() => resolve("let through"), 200))
          void subscription
        })
        expect([subject, heard]).toEqual([subject, expect.stringContaining("Permissions Violation")])
      }
    }
  )

  it.each([
    ["without a name", {}],
    ["with a wrong password", { user: "node", pass: "wrong" }],
    ["as somebody unknown", { user: "root", pass: "" }]
  ])("nobody is let in %s", async (_, who) => {
    const servers = `127.0.0.1:${server.port}`
    await expect(connect({ servers, ...who, reconnect: false })).rejects.toThrow(/authorization/i)
  })

  it("a stolen node password can have the server itself put things into the log, as README says", async () => {
    const before = (await as("admin").jsm.streams.info("KUBE")).state.last_seq
    await as("node").js.publish("$KV.nodes.n1", "anything")
    const { js, connection } = as("node")
    const consumer = await js.consumers.get("KV_nodes", { filter_subjects: ["$KV.nodes.*"] })
    const { name } = await consumer.info(true)
    const reply = subjects.event
    connection.publish(`$JS.API.CONSUMER.MSG.NEXT.KV_nodes.${name}`, "1", { reply })
    await until("the log to hold it", async () => {
      const { state } = await as("admin").jsm.streams.info("KUBE")
      return state.last_seq === before + 1
    })
  })
})
