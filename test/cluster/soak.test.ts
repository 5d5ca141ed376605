import { beforeAll, expect, it } from "@effect/vitest"
import { failuresOf, missedOf, type Outcome } from "../support/machines/client.ts"
import { realClusterUnavailable } from "../support/machines/programs.ts"
import { randomOf } from "../support/scenarios/random/plan.ts"
import { seedOf } from "../support/scenarios/random/run.ts"
import { suite } from "../support/suite.ts"
import { commandsBelow } from "./commands.ts"
import { clusterFaults } from "./faults.ts"
import { openGround } from "./ground.ts"
import { pool, service } from "./service.ts"

/** `EXTIP_SOAK_MINUTES`, by default a quarter of an hour. */
const minutes = Number(process.env.EXTIP_SOAK_MINUTES ?? 15)
const longestMillis = 20_000

const movedOf = (before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>) =>
  [...before].flatMap(([address, node]) =>
    after.get(address) === node ? [] : [`${address}: ${node} → ${after.get(address)}`]
  )

suite("a cluster of real nodes under random faults", realClusterUnavailable(), () => {
  const seed = seedOf()
  const random = randomOf(seed)
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
  const ground = openGround()

  beforeAll(async () => {
    const { cluster, extip } = ground()
    await cluster.shell(commandsBelow("Deploying", "kubectl apply -k infra/deploy\n"))
    await extip.serve("web")
    await cluster.kubectl("apply -f -", pool("soak", "192.168.0.192/27"))
  }, 300_000)

  it(
    `keeps every promise for ${minutes} minutes (seed ${seed})`,
    async () => {
      const { cluster, client, extip } = ground()
      const services = new Set<string>()
      let made = 0
      /** Services come and go, as they do. */
      const change = async () => {
        while (services.size < 8 || (services.size < 20 && random() < 0.5)) {
          const name = `soak-${++made}`
          await cluster.kubectl("apply -f -", service(name, {}, { "external-ip": "auto" }))
          services.add(name)
        }
        const gone = [...services].filter(() => random() < 0.15)
        for (const name of gone) services.delete(name)
        if (gone.length > 0) await cluster.kubectl(["delete", "service", "--wait=false", ...gone])
      }
      const end = Date.now() + minutes * 60_000
      const done: Array<string> = []
      while (Date.now() < end) {
        await change()
        await extip.whole()
        const fault = pick(clusterFaults)
        const node = pick(cluster.nodes).name
        const millis = Math.round(random() * longestMillis)
        const holders = await extip.holders()
        const addresses = [...holders.keys()]
        // Those of new Services as well: what fails from here on is the fault's.
        for (const address of addresses) await client.answered(address)
        await cluster.forgetHalfOpen()
        const load = await client.load(addresses, 100)
        const watch = extip.watch()
        done.push(`${fault.name}, ${node}, ${millis} ms`)
        let outcomes: ReadonlyArray<Outcome> = []
        let changes: ReadonlyArray<string> = []
        const restarted = new Set(await fault.restarts?.(ground(), node))
        try {
          await fault.happens(ground(), node, millis)
          await cluster.nodesReady()
          await extip.rolledOut(300)
          await extip.whole(120)
          const restarts = await extip.restarts()
          expect(restarts.filter((one) => !restarted.has(one.split("/")[0]!))).toEqual([])
          await extip.forgiveRestarts()
          await extip.served("web")
          // Whoever has an address is answered by the end of it.
          for (const address of (await extip.holders()).keys()) await client.answered(address)
        } catch (cause) {
          throw new Error(`seed ${seed}, after: ${done.join("; ")}`, { cause })
        } finally {
          outcomes = await load.stop()
          changes = await watch.stop()
          const failed = failuresOf(outcomes)
          const how = new Set(failed.map((one) => one.failed))
          console.log(
            `${done.at(-1)}: ${outcomes.length} requests, ${failed.length} failed`,
            ...how,
            ...new Set(failed.map(({ url }) => url))
          )
        }
        const [missed, moved] = fault.isUnnoticed
          ? [missedOf(outcomes), movedOf(holders, await extip.holders())]
          : [[], []]
        const doubles = fault.isSplit ? [] : changes.filter((change) => change.includes("+"))
        if (missed.length + moved.length + doubles.length > 0) {
          throw new Error(
            `seed ${seed}, ${done.at(-1)}: ${JSON.stringify({ missed, moved, doubles }, undefined, 1)}\n${changes.join("\n")}`
          )
        }
      }
      console.log(`${done.length} faults, ${made} Services`)
    },
    (minutes + 10) * 60_000
  )
})
