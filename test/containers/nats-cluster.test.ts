import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { AckPolicy } from "@nats-io/jetstream"
import * as Effect from "effect/Effect"
import { IpClaim, IpClaimPool, Namespace, Node, Service } from "../../functions/domain/kinds.ts"
import { type NatsCluster, type NatsMember, ownNatsCluster } from "../../infra/local/index.ts"
import type { KindId } from "../../runtime/Kind.ts"
import { agrees } from "../support/compare.ts"
import { faults } from "../support/invariants.ts"
import { Ours } from "../support/ours.ts"
import { withParts } from "../support/parts.ts"
import type { Program } from "../support/programs.ts"
import { violationsIn } from "../support/stack.ts"
import { until } from "../support/until.ts"

const count = 400
const namespace = "nats-cluster"
const kinds = [Service, IpClaim, IpClaimPool, Namespace, Node]

withParts("with three NATS servers", (shared) => {
  let ours: Ours
  let cluster: NatsCluster
  let served = 0
  let hosts: ReadonlyArray<Program>

  const run = <A>(effect: Effect.Effect<A, unknown>) => Effect.runPromise(effect)
  const streams = async () => {
    const names = await ours.stack.client.jsm.streams.names().next()
    return await Promise.all(names.map((name) => ours.stack.client.jsm.streams.info(name)))
  }
  const named = (name: string | undefined) => cluster.members.find((member) => member.name === name)
  const leaderOfLog = async () =>
    named((await ours.stack.client.jsm.streams.info("KUBE")).cluster?.leader ?? undefined)
  /** Of JetStream itself: who makes streams and consumers. */
  const leaderOfAll = async (): Promise<NatsMember | undefined> => {
    for (const member of cluster.members) {
      const page = await run(member.monitor("/jsz"))
      const leader = page === "" ? undefined : named(JSON.parse(page).meta_cluster?.leader)
      if (leader !== undefined) return leader
    }
    return undefined
  }
  /** The server from which the function host reads the log: such a consumer is on one server alone. */
  const serverOfReader = async () => {
    const consumers = await ours.stack.client.jsm.consumers.list("KUBE").next()
    // That of a host that has ended stays for a while, where it was.
    const [ordered] = consumers
      .filter(({ config }) => config.ack_policy === AckPolicy.None)
      .toSorted((a, b) => b.delivered.stream_seq - a.delivered.stream_seq)
    return named(ordered?.cluster?.leader ?? undefined)
  }

  const services = () => ours.cluster.list(Service, namespace)
  const withAddress = async () =>
    (await services()).filter(({ spec }) => spec.externalIPs?.length === 1).length
  /** What is wrong with the Services of this file, its pools and their claims, as sentences. */
  const wrong = async () => {
    const isOurs = ({ spec }: { readonly spec?: any }) => spec.pool?.startsWith(namespace)
    const objects = new Map<KindId, ReadonlyArray<any>>([
      [Service, await services()],
      [IpClaim, (await ours.cluster.list(IpClaim)).filter(isOurs)],
      [
        IpClaimPool,
        (await ours.cluster.list(IpClaimPool)).filter(({ metadata }) => metadata.name.startsWith(namespace))
      ]
    ])
    const all = (kind: KindId) => objects.get(kind)! as any
    const shown = all(Service).flatMap(({ spec }: any) => spec.externalIPs ?? [])
    return [
      ...faults({ cluster: { all } }),
      ...(shown.length === served ? [] : [`${shown.length} of ${served} addresses are shown`]),
      ...(new Set(shown).size === shown.length ? [] : ["an address is shown twice"]),
      ...(all(IpClaim).length === served ? [] : [`${all(IpClaim).length} claims for ${served} Services`])
    ]
  }
  const isWhole = () =>
    until(
      `${served} Services to have one address each, each with one claim, and no claim besides`,
      async () => (await wrong()).length === 0,
      { seconds: 90, last: async () => (await wrong()).slice(0, 10) }
    )

  /** Kills a server when a third of the Services has been served, and starts it again when two thirds have. */
  const fill = async (prefix: string, victim: () => Promise<NatsMember | undefined>) => {
    const before = served
    served += count
    const names = Array.from({ length: count }, (_, i) => `${prefix}-${String(i).padStart(3, "0")}`)
    const create = async () => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) await ours.service(name)
    }
    const creating = Promise.all(Array.from({ length: 8 }, create))
    const part = (share: number) =>
      until(
        `${share} of the Services to be served`,
        async () => (await withAddress()) >= before + share * count,
        { seconds: 90, last: withAddress }
      )
    await part(1 / 3)
    const killed = await until("a leader", victim)
    await run(killed.process.kill("SIGKILL"))
    const then = await withAddress()
    // Otherwise nothing was in the midst of anything.
    expect(then).toBeLessThan(served)
    await part(2 / 3)
    const next = await until("another leader", async () => {
      const leader = await victim()
      return leader?.name === killed.name ? undefined : leader
    })
    await run(killed.process.start)
    await creating
    console.log(
      `${prefix}: ${killed.name} killed after ${then - before} of ${count}, ${next.name} led after it`
    )
  }

  beforeAll(async () => {
    ours = await Ours.open(
      shared,
      namespace,
      Effect.map(ownNatsCluster(3), (made) => {
        cluster = made
        // Everything of ours knows all three; where one server is meant, the tests here name it.
        return { ...made.members[0]!, url: made.url, as: made.as }
      })
    )
    // Exactly as many as are asked for: a single one that leaks leaves somebody without.
    await ours.pool(namespace, { cidr: "10.90.0.0/16", ranges: [["10.90.0.1", "10.90.4.176"]] })
    const [bridge, ...both] = await Promise.all([
      ours.stack.program("bridge", ["--nats-replicas", "3"]),
      ours.stack.program("functions"),
      ours.stack.program("functions")
    ])
    hosts = both
    await Promise.all([bridge, ...hosts].map((program) => program.ready()))
  })
  afterAll(() => ours?.close())

  it("each stream is kept on all three", async () => {
    await until(
      "three replicas of each stream",
      async () => (await streams()).every(({ config }) => config.num_replicas === 3),
      { last: async () => (await streams()).map(({ config }) => [config.name, config.num_replicas]) }
    )
    expect((await streams()).map(({ config }) => config.name)).toContain("KUBE")
  })

  it.each([
    ["the leader of the log", "log", leaderOfLog],
    ["the leader of JetStream itself", "all", leaderOfAll],
    // Not the leader of anything that is replicated: such a consumer is not moved to another server.
    ["the server that the only function host reads from", "reader", serverOfReader]
  ])(
    "%s is killed in mid-fill: each Service has one address, nothing leaks, and NATS has what Kubernetes has",
    async (_, prefix, victim) => {
      if (prefix === "reader") await hosts[1]!.kill("SIGTERM")
      await fill(prefix, victim)
      await isWhole()
      await agrees({ cluster: ours.cluster, js: ours.stack.client.js, kinds, seconds: 60 })
    },
    240_000
  )

  it("each replica is as new as the others when all are back", async () => {
    const late = async () =>
      (await streams()).flatMap(({ config, cluster: { replicas = [] } = {} }) =>
        replicas
          .filter(({ current, offline }) => !current || offline === true)
          .map(({ name }) => `${config.name} on ${name}`)
      )
    await until("every replica to be current", async () => (await late()).length === 0, {
      seconds: 30,
      last: late
    })
    expect((await streams()).every(({ cluster: { replicas = [] } = {} }) => replicas.length === 2)).toBe(true)
  })

  it("all addresses are free again when the Services are gone", async () => {
    // One by one: to delete 1,200 in one request takes the API server longer than a request may.
    await ours.cluster.kubectl(["-n", namespace, "delete", "services", "--all", "--wait=false"])
    served = 0
    await isWhole()
    expect(cluster.members.flatMap(({ process }) => violationsIn(process.log))).toEqual([])
  }, 120_000)
})
