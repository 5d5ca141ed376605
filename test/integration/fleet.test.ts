import { cpSync, rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, afterEach, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { type OwnNatsServer, ownNatsServer } from "../../infra/local/index.ts"
import { claimSubjects } from "../../runtime/fleet/messages.ts"
import { readAll } from "../../runtime/nats/readAll.ts"
import { type Follower, follow, placesOf, TalkingNodes } from "../support/fleet.ts"
import { type NatsClient, natsClient } from "../support/natsClient.ts"
import { withNats } from "../support/parts.ts"
import { stays, until } from "../support/until.ts"

withNats("the fleet on NATS", () => {
  let scope: Scope.Closeable
  let server: OwnNatsServer
  let client: NatsClient
  let nodes: TalkingNodes
  const followers: Array<Follower> = []

  const connect = (name: string) => natsClient({ url: server.url, name }, scope)
  const another = async (name = "follower", abandonMillis?: number) => {
    const made = await follow(await connect(name), abandonMillis)
    followers.push(made)
    return made
  }
  const kill = () => Effect.runPromise(server.process.kill("SIGKILL"))
  const start = async () => {
    await Effect.runPromise(server.process.start)
    // What is published before is lost with the connection.
    await until("the test itself to be connected", () => client.isConnected())
  }
  const stateOf = ({ access }: Follower, node: string) => access.state.nodes.get(node)?.state
  const places = ({ access }: Follower) =>
    new Map(Array.from(access.state.placements, ([claim, { holder, term }]) => [claim, `${holder} ${term}`]))
  const empty = async () => {
    for (const stream of ["KV_nodes", "KV_assignments", "NODE"]) {
      await client.jsm.streams.purge(stream).catch(() => undefined)
    }
  }

  beforeAll(async () => {
    scope = Scope.makeUnsafe()
    server = await Effect.runPromise(ownNatsServer().pipe(Scope.provide(scope)))
    client = await connect("test")
    nodes = new TalkingNodes(client)
  })
  afterEach(async () => {
    for (const follower of followers.splice(0)) await follower.stop()
    for (const node of ["a", "b", "c"]) nodes.die(node)
    await empty()
  })
  afterAll(async () => {
    nodes?.stop()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("lets one of two hosts lose that place the same claims at once, and places each claim once", async () => {
    const [one, other] = [await another("one"), await another("other")]
    const ended = await Promise.all([
      one.place(...placesOf(50, "a", "b")),
      other.place(...placesOf(50, "b", "a"))
    ])
    expect(ended.filter((why) => why !== undefined)).toEqual([
      expect.stringContaining("50 claims were not placed: wrong last sequence")
    ])
    const winner = ended[0] === undefined ? "a" : "b"
    await until("both to see it", () =>
      [one, other].every(({ access }) => access.state.placements.size === 50)
    )
    expect(places(one)).toEqual(places(other))
    expect(new Set(places(one).values())).toEqual(new Set([`${winner} 1`]))
    expect((await client.jsm.streams.info("KV_assignments")).state.messages).toBe(100)
  })

  it("places the others when one of many claims was placed by somebody else", async () => {
    const one = await another("one")
    const stale = await another("stale")
    await stale.place(...placesOf(10, "a", "b"))
    await until("the first to see them", () => one.access.state.placements.size === 10)
    // Both look at the same state. Usually the single claim is quicker, but one of the two loses it in any case.
    const [single, many] = await Promise.all([
      one.place({ claim: "claim-7", address: "10.0.0.1", holder: "c", standby: "a", link: undefined }),
      stale.place(...placesOf(10, "b", "a"))
    ])
    const lost = [single, many].filter((said) => said !== undefined)
    expect(lost).toHaveLength(1)
    expect(lost[0]).toContain("1 claims were not placed")
    await until("both to see it", () => places(stale).get("claim-7") === (many === undefined ? "b 2" : "c 2"))
    const now = places(stale)
    now.delete("claim-7")
    expect(new Set(now.values())).toEqual(new Set(["b 2"]))
  })

  it("hands 5,000 claims to their standbys in a handful of batches", async () => {
    const follower = await another()
    await follower.place(...placesOf(5_000, "a", "b"))
    expect(await follower.place(...placesOf(5_000, "b", "c"))).toBe(undefined)
    const batches = new Set<string>()
    let messages = 0
    await readAll(client.js, { stream: "KV_assignments", filters: ["$KV.assignments.>"] }, (message) => {
      batches.add(message.headers?.get("Nats-Batch-Id") ?? "")
      messages++
    })
    expect(messages).toBe(15_000)
    expect(batches.size).toBe(16)
    expect(follower.access.state.heldBy("b").size).toBe(5_000)
    expect(follower.access.state.standingBy("c").size).toBe(5_000)
    expect(follower.access.state.heldBy("a").size).toBe(0)
    // What the stream says is the same.
    const fresh = await another("fresh")
    expect(places(fresh)).toEqual(places(follower))
  })

  it("takes a claim off all nodes, and places it again after the deletions have gone", async () => {
    const follower = await another()
    await follower.place(...placesOf(1, "a", "b"))
    await follower.place(...placesOf(1, undefined))
    expect(follower.access.state.placements.size).toBe(0)
    await until("the server to forget the deletions, as it does after an hour", async () => {
      await client.jsm.streams.purge("KV_assignments", { filter: claimSubjects("claim-0") })
      return (await client.jsm.streams.info("KV_assignments")).state.messages === 0
    })
    expect(await follower.place(...placesOf(1, "b"))).toBe(undefined)
    expect(places(follower).get("claim-0")).toBe("b 2")
  })

  it("says what is complete, and who hands over, to everybody", async () => {
    const [one, other] = [await another("one"), await another("other")]
    await Effect.runPromise(one.access.complete("a", "i1"))
    await Effect.runPromise(one.access.draining("a", true))
    await until("the other to hear of it", () => other.access.state.isDraining("a"))
    expect(other.access.state.completed("a")).toBe("i1")
    await Effect.runPromise(one.access.draining("a", false))
    await until("the other to hear of its end", () => !other.access.state.isDraining("a"))
  })

  it("takes a node for lost when its key has expired, and for abandoned after that", async () => {
    await nodes.join("a", "b")
    const follower = await another()
    await follower.place(...placesOf(1, "a", "b"))
    await until("the fleet to be followed for 5 s", () => follower.access.state.followedMillis() > 5_000)
    nodes.die("a")
    await until("a to be lost", () => stateOf(follower, "a") === "lost", { last: () => follower.events })
    await until("a to be abandoned", () => stateOf(follower, "a") === "abandoned")
    expect(stateOf(follower, "b")).toBe("alive")
    await nodes.join("a")
    await until("a to be back", () => stateOf(follower, "a") === "alive")
    const told = follower.events.filter(({ node, what }) => node === "a" && what !== "placed")
    expect(told.map(({ what }) => what)).toEqual(["lost", "abandoned", "joined"])
  })

  it("takes nobody for lost when NATS is killed and comes back after their keys have expired", async () => {
    await nodes.join("a", "b", "c")
    const follower = await another()
    await follower.place(...placesOf(3, "a", "b"))
    await until("the fleet to be followed for 5 s", () => follower.access.state.followedMillis() > 5_000)
    const before = places(follower)
    await kill()
    await stays("nobody is lost while NATS is away", () => stateOf(follower, "a") === "alive", 6_000)
    await start()
    await until("the fleet to be read again", () => follower.reads() === 2, { seconds: 30 })
    await until("it to be followed for 7 s", () => follower.access.state.followedMillis() > 7_000)
    expect(["a", "b", "c"].map((node) => stateOf(follower, node))).toEqual(["alive", "alive", "alive"])
    expect(follower.events.filter(({ what }) => what === "lost" || what === "abandoned")).toEqual([])
    expect(places(follower)).toEqual(before)
    expect(await follower.place(...placesOf(3, "b", "c"))).toBe(undefined)
  })

  it("begins anew when the streams were deleted under it, with higher terms", async () => {
    await nodes.join("a", "b")
    const follower = await another()
    await follower.place(...placesOf(2, "a", "b"))
    await nodes.inventory("a", { id: "i1", held: [] })
    await until("the inventory", () => follower.access.state.inventories.has("a"))
    for (const stream of ["KV_nodes", "KV_assignments", "NODE"]) await client.jsm.streams.delete(stream)
    // At once: what this view says is of another life.
    expect(await follower.place(...placesOf(2, "b", "a"))).toContain("the stream KV_assignments")
    await until("the fleet to be read again", () => follower.reads() === 2, { last: () => follower.news })
    expect([follower.access.state.placements.size, follower.access.state.inventories.size]).toEqual([0, 0])
    await until("the nodes to be there still", () => follower.access.state.followedMillis() > 5_500)
    expect(["a", "b"].map((node) => stateOf(follower, node))).toEqual(["alive", "alive"])
    expect(await follower.place(...placesOf(2, "b", "a"))).toBe(undefined)
    expect(new Set(places(follower).values())).toEqual(new Set(["b 2"]))
  })

  it("goes by what there is when an older store was restored, but remembers the terms", async () => {
    await nodes.join("a", "b")
    const follower = await another()
    await follower.place(...placesOf(2, "a", "b"))
    await kill()
    const copy = join(server.storeDir, "..", "copy")
    cpSync(server.storeDir, copy, { recursive: true })
    await start()
    await until("the fleet to be read again", () => follower.reads() === 2, { seconds: 30 })
    for (const holder of ["b", "a", "b"]) {
      expect(await follower.place(...placesOf(2, holder))).toBe(undefined)
    }
    expect(places(follower).get("claim-0")).toBe("b 4")
    await kill()
    rmSync(server.storeDir, { recursive: true })
    cpSync(copy, server.storeDir, { recursive: true })
    await start()
    await until("the fleet to be read again", () => follower.reads() >= 3, { seconds: 30 })
    expect(places(follower).get("claim-0")).toBe("a 1")
    await nodes.report("b", "claim-0", "bound", 4)
    await until("the node's word", () => follower.access.state.reports("claim-0").has("b"))
    expect(await follower.place(...placesOf(2, "b"))).toBe(undefined)
    expect(places(follower).get("claim-0")).toBe("b 5")
  })
})
