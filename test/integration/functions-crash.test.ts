import { rmSync } from "node:fs"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { IpClaim, Service } from "../../functions/domain/kinds.ts"
import { Ours } from "../support/ours.ts"
import { withParts } from "../support/parts.ts"
import type { Program } from "../support/programs.ts"
import { until } from "../support/until.ts"

const count = 500
const nameOf = (i: number) => `fill-${String(i).padStart(3, "0")}`

withParts("killed with -9 at any moment,", (shared) => {
  let ours: Ours
  let bridge: Program
  let hosts: Array<Program> = []

  const startHost = async () => {
    const host = await ours.stack.program("functions")
    hosts.push(host)
    return host
  }
  const startBridge = async () => {
    bridge = await ours.stack.program("bridge", ["--lease-seconds", "2"])
  }
  const killHost = async (at: number) => {
    await hosts.splice(at, 1)[0]!.kill("SIGKILL")
    await startHost()
  }
  const killNats = async () => {
    await Effect.runPromise(ours.stack.nats.process.kill("SIGKILL"))
    await Effect.runPromise(ours.stack.nats.process.start)
  }

  /** Everything that is not as it should be, as sentences. */
  const faults = async (): Promise<ReadonlyArray<string>> => {
    const services = await ours.cluster.list(Service, "crash")
    const claims = (await ours.cluster.list(IpClaim)).filter(({ spec }) => spec.pool?.startsWith("crash"))
    const byUid = new Map(services.map((service) => [service.metadata.uid, service]))
    const found: Array<string> = []
    const shownBy = new Map<string, string>()
    for (const { metadata, spec } of services) {
      const shown = spec.externalIPs ?? []
      if (shown.length !== 1) found.push(`${metadata.name} shows ${shown.length} addresses`)
      const allocated = metadata.annotations["ipcontroller.ext/allocated"]
      if (allocated !== shown[0]) found.push(`${metadata.name} carries ${allocated} and shows ${shown[0]}`)
      for (const address of shown) {
        if (shownBy.has(address)) found.push(`${metadata.name} and ${shownBy.get(address)} show ${address}`)
        shownBy.set(address, metadata.name)
      }
    }
    const claimed = new Set<string>()
    for (const { metadata, spec } of claims) {
      const address = spec.cidr.split("/")[0]
      claimed.add(address)
      const [holder, ...others] = spec.services ?? []
      const service = byUid.get(holder?.uid)
      if (others.length > 0 || service === undefined) found.push(`${metadata.name} names not one Service`)
      if (shownBy.get(address) !== service?.metadata.name) found.push(`${metadata.name} is another's address`)
    }
    for (const [address, name] of shownBy) if (!claimed.has(address)) found.push(`${name} has no claim`)
    return found
  }
  const isWhole = (seconds: number) =>
    until(
      `${count} Services to have one address each, each with one claim, and no claim besides`,
      async () => (await faults()).length === 0,
      { seconds, last: async () => (await faults()).slice(0, 10) }
    )
  /** Object → resource version, of everything that a restart must leave alone. */
  const versions = async () => {
    const all = [...(await ours.cluster.list(Service, "crash")), ...(await ours.cluster.list(IpClaim))]
    return new Map(all.map(({ metadata }) => [metadata.uid, `${metadata.name} ${metadata.resourceVersion}`]))
  }
  const expectUntouched = async (before: ReadonlyMap<string, string>) => {
    const after = await versions()
    for (const [uid, version] of before) expect(after.get(uid)).toBe(version)
  }

  beforeAll(async () => {
    ours = await Ours.open(shared, "crash")
    // Exactly as many as are asked for: a single one that leaks leaves somebody without.
    await ours.pool("crash", { cidr: "10.80.0.0/22", ranges: [["10.80.0.1", "10.80.1.244"]] })
    await Promise.all([startBridge(), startHost(), startHost()])
    await Promise.all([bridge, ...hosts].map((program) => program.ready()))
  })
  afterAll(() => ours?.close())

  it("our processes and NATS leave each Service with exactly one address and leak none", {
    timeout: 120_000
  }, async () => {
    const kills = new Map<number, () => Promise<unknown>>([
      [80, () => killHost(0)],
      [
        200,
        async () => {
          await bridge.kill("SIGKILL")
          await startBridge()
        }
      ],
      [300, () => killHost(0)],
      [400, () => Promise.all([killNats(), killHost(0)])]
    ])
    const killing: Array<Promise<unknown>> = []
    let next = 0
    const create = async () => {
      while (next < count) {
        const i = next++
        const kill = kills.get(i)
        if (kill !== undefined) killing.push(kill())
        await ours.service(nameOf(i))
      }
    }
    await Promise.all(Array.from({ length: 8 }, create))
    await Promise.all(killing)
    // What a process that died left half done is found by the next event, or by the sweep within a minute.
    await isWhole(90)
  })

  it("and all of ours started again, nothing is written to what is served, and a new Service is served", async () => {
    const before = await versions()
    await Promise.all([bridge, ...hosts].map((program) => program.kill("SIGTERM")))
    hosts = []
    await Promise.all([startBridge(), startHost()])
    await Promise.all([bridge, ...hosts].map((program) => program.ready()))
    await ours.pool("crash-more", { cidr: "10.80.4.0/24" })
    await ours.service("after-restart")
    await ours.shows("after-restart", "10.80.4.1")
    await expectUntouched(before)
  })

  it("and JetStream empty as well, the same holds", async () => {
    const before = await versions()
    await Effect.runPromise(ours.stack.nats.process.kill("SIGKILL"))
    rmSync(ours.stack.nats.storeDir, { recursive: true })
    await Effect.runPromise(ours.stack.nats.process.start)
    await ours.service("after-wipe")
    await ours.given("after-wipe", 30)
    await isWhole(10)
    await expectUntouched(before)
  })
})
