import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { Client, failuresOf, missedOf, type Outcome } from "../support/machines/client.ts"
import { ExtipOn } from "../support/machines/extipOn.ts"
import { realClusterUnavailable } from "../support/machines/programs.ts"
import { RealCluster } from "../support/machines/realCluster.ts"
import { randomOf } from "../support/scenarios/random/plan.ts"
import { seedOf } from "../support/scenarios/random/run.ts"
import { suite } from "../support/suite.ts"
import { commandsBelow } from "./commands.ts"
import { clusterFaults } from "./faults.ts"
import type { Ground } from "./ground.ts"
import { pool, service } from "./service.ts"

/** `EXTIP_SOAK_MINUTES`, by default a quarter of an hour. */
const minutes = Number(process.env.EXTIP_SOAK_MINUTES ?? 15)
const longestMillis = 20_000

suite("a cluster of real nodes under random faults", realClusterUnavailable(), () => {
  const seed = seedOf()
  const random = randomOf(seed)
  const pick = <A>(from: ReadonlyArray<A>): A => from[Math.floor(random() * from.length)]!
  let cluster: RealCluster
  let client: Client
  let extip: ExtipOn
  const ground: Ground = () => ({ cluster, client, extip })

  beforeAll(async () => {
    cluster = await RealCluster.open((line) => console.log(line))
    client = await Client.open(cluster)
    extip = new ExtipOn(cluster)
    await cluster.shell(commandsBelow("Deploying", "kubectl apply -k infra/deploy\n"))
    await extip.serve("web")
    await cluster.kubectl("apply -f -", pool("soak", "192.168.0.192/27"))
  }, 1_200_000)
  afterAll(async () => {
    client?.close()
    await cluster?.close()
  }, 120_000)

  it(
    `keeps every promise for ${minutes} minutes (seed ${seed})`,
    async () => {
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
        const addresses = [...(await extip.holders()).keys()]
        // Those of new Services as well: what fails from here on is the fault's.
        for (const address of addresses) await client.answered(address)
        const load = await client.load(addresses, 100)
        done.push(`${fault.name}, ${node}, ${millis} ms`)
        let outcomes: ReadonlyArray<Outcome> = []
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
          const failed = failuresOf(outcomes)
          const how = new Set(failed.map((one) => one.failed))
          console.log(
            `${done.at(-1)}: ${outcomes.length} requests, ${failed.length} failed`,
            ...how,
            ...new Set(failed.map(({ url }) => url))
          )
        }
        const missed = fault.isUnnoticed ? missedOf(outcomes) : []
        if (missed.length > 0) {
          throw new Error(`seed ${seed}, ${done.at(-1)} was noticed: ${JSON.stringify(missed)}`)
        }
      }
      console.log(`${done.length} faults, ${made} Services`)
    },
    (minutes + 10) * 60_000
  )
})
