import { rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import {
  defineBatchFunction,
  Fleet,
  fleetChanged,
  type Keyed,
  place,
  read,
  refOf
} from "../../runtime/index.ts"
import { readAll } from "../../runtime/nats/readAll.ts"
import { parseTraceparent } from "../../runtime/trace/context.ts"
import type { SpanRecord } from "../../runtime/trace/span.ts"
import { repository } from "../support/cluster.ts"
import { ConfigMap, ConfigMaps, isIn } from "../support/configMaps.ts"
import { follow, TalkingNodes } from "../support/fleet.ts"
import { withParts } from "../support/parts.ts"
import { type RunningHost, Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"

const isOurs = isIn("fleet-host")

/** Places every ConfigMap on the first node that lives. */
const placer = (runs: Array<ReadonlyArray<string>> = []) =>
  defineBatchFunction({
    name: "place-on-change",
    on: [
      ConfigMap.touched,
      fleetChanged(["joined", "abandoned", "placed"]).touches({
        kind: ConfigMap,
        keys: (_event, view) => Array.from(view.list(ConfigMap), refOf)
      })
    ],
    when: ({ now }: Keyed<ConfigMap>) => now !== undefined && isOurs(now),
    needs: [read(ConfigMap), place],
    handle: Effect.fnUntraced(function* (maps: ReadonlyArray<Keyed<ConfigMap>>) {
      const fleet = yield* Fleet
      runs.push(maps.map(({ ref }) => ref.name))
      const nodes = [...fleet.nodes.values()].filter(({ state }) => state === "alive")
      const holder = nodes.map(({ name }) => name).toSorted()[0]
      const wrong = maps.filter(({ ref }) => fleet.placements.get(ref.name)?.holder !== holder)
      if (holder === undefined || wrong.length === 0) return
      yield* fleet.place(
        wrong.map(({ ref: { name } }) => ({
          claim: name,
          address: "10.0.0.1",
          holder,
          standby: undefined,
          link: undefined
        }))
      )
      return `placed ${wrong.map(({ ref }) => ref.name).toSorted()} on ${holder}`
    })
  })

withParts("functions that follow the fleet", (shared) => {
  let stack: Stack
  let maps: ConfigMaps
  let nodes: TalkingNodes
  let host: RunningHost
  let other: RunningHost

  /** Claim → holder and term, as a host sees it */
  const placed = ({ state }: RunningHost) =>
    Object.fromEntries(
      Array.from(state.fleet!.placements, ([claim, { holder, term }]) => [claim, `${holder} ${term}`])
    )
  const becomes = (what: string, of: () => RunningHost, want: object) =>
    until(what, () => JSON.stringify(placed(of())) === JSON.stringify(want), {
      seconds: 30,
      last: () => [placed(of()), of().news.slice(-5)]
    })

  beforeAll(async () => {
    stack = await Stack.open(shared)
    maps = new ConfigMaps(stack.cluster, await stack.cluster.namespace("fleet-host"))
    for (const { metadata } of await maps.list()) await maps.delete(metadata.name)
    await stack.bridge([ConfigMap])
    nodes = new TalkingNodes(stack.client)
  })
  afterAll(async () => {
    nodes?.stop()
    await stack?.close()
  })

  it("are woken by objects and by nodes alike, on the active host alone", async () => {
    const runs: Array<ReadonlyArray<string>> = []
    host = await stack.host([placer(runs)])
    await maps.create("one", {})
    await until("the function to run for it", () => runs.length > 0)
    const spare: Array<ReadonlyArray<string>> = []
    other = await stack.host([placer(spare)])
    await nodes.join("n2")
    await becomes("the claim to be placed", () => host, { one: "n2 1" })
    await becomes("the other host to see it", () => other, { one: "n2 1" })
    await maps.create("two", {})
    await becomes("the new one to be placed", () => other, { one: "n2 1", two: "n2 1" })
    expect(spare).toEqual([])
  })

  it("put placements into the trace of the change that led to them", async () => {
    let traceparent: string | undefined
    const filters = ["$KV.assignments.n2.two"]
    await readAll(stack.client.js, { stream: "KV_assignments", filters }, (message) => {
      traceparent = message.headers?.get("traceparent")
    })
    const { traceId } = parseTraceparent(traceparent)!
    const spans = async () => {
      const found: Array<SpanRecord> = []
      await readAll(stack.client.js, { stream: "TRACE", filters: [`trace.${traceId}.>`] }, (message) => {
        found.push(...message.json<ReadonlyArray<SpanRecord>>())
      })
      return found.filter(({ object }) => object.endsWith("/two"))
    }
    const [span] = await until("the run in the trace", async () => {
      const found = await spans()
      return found.length > 0 && found
    })
    expect(span).toMatchObject({
      function: "place-on-change",
      writes: [{ verb: "place", object: "placements/two" }]
    })
  })

  it("are woken on the other host for what it finds, when the active one ends", async () => {
    await host.stop()
    await nodes.join("n1")
    await becomes("the other host to move all to the first node", () => other, { one: "n1 2", two: "n1 2" })
    host = other
  })

  it("are woken for the claims of a node that is gone for good", async () => {
    nodes.die("n1")
    await becomes("the claims to leave the node that died", () => host, { one: "n2 3", two: "n2 3" })
  })

  it("go on when JetStream was wiped under them, and place anew with higher terms", async () => {
    await Effect.runPromise(stack.nats.process.kill("SIGKILL"))
    rmSync(stack.nats.storeDir, { recursive: true })
    await Effect.runPromise(stack.nats.process.start)
    await becomes("the claims to be placed again", () => host, { one: "n2 4", two: "n2 4" })
    await maps.create("three", {})
    await becomes("a new one to be placed", () => host, { one: "n2 4", two: "n2 4", three: "n2 1" })
    expect(host.state.isReady()).toBe(true)
  })

  it("are woken on another host when the active one is killed, for what happened meanwhile as well", async () => {
    await host.stop()
    const from = join(repository, "test/fixtures/fleet")
    const start = async () => {
      const program = await stack.program("functions", ["--from", from, "--only", "sign-on-join"])
      await program.ready()
      return program
    }
    const follower = await follow(stack.client)
    const signerOf = (node: string) =>
      until(`${node} to be signed`, () => follower.access.state.placements.get(node)?.link, {
        seconds: 20,
        last: () => [...follower.access.state.placements.values()]
      })
    const programs = [await start(), await start()]
    await nodes.join("m1")
    const first = await signerOf("m1")
    const active = programs.find(({ pid }) => String(pid) === first)!
    const spare = programs.find((program) => program !== active)!
    await active.kill("SIGKILL")
    // Before anybody knows that the active one is dead.
    await nodes.join("m2")
    expect(await signerOf("m2")).toBe(String(spare.pid))
    await nodes.join("m3")
    expect(await signerOf("m3")).toBe(String(spare.pid))
    await follower.stop()
  })
})
