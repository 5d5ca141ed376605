import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { IpClaimPool } from "../../functions/domain/kinds.ts"
import { Ours } from "../support/ours.ts"
import { withParts } from "../support/parts.ts"
import { extip, type Program } from "../support/programs.ts"
import { until } from "../support/until.ts"

withParts("extip trace and why", (shared) => {
  let ours: Ours
  let bridge: Program
  let hosts: ReadonlyArray<Program>

  const ask = async (...args: ReadonlyArray<string>) => {
    const ran = await extip([...args, "--nats", ours.stack.nats.as("reader")])
    expect(ran.error).toBe("")
    return ran.out
  }
  /** The parts of the waterfall, each of which begins with a change from outside. */
  const traces = async (object: string) => (await ask("trace", object)).split("\n\n")
  const used = (count: number) =>
    until(`the pool to say that ${count} are used`, async () => {
      const pool = await ours.cluster.get(IpClaimPool, { namespace: "", name: "trace" })
      return pool?.status?.used === count
    })

  beforeAll(async () => {
    ours = await Ours.open(shared, "trace")
    await ours.pool("trace", { cidr: "10.79.0.0/24", ranges: [["10.79.0.1", "10.79.0.1"]] })
    // Two hosts with different functions: what one writes wakes the other, and no memory joins their spans.
    bridge = await ours.stack.program("bridge")
    hosts = await Promise.all([
      ours.stack.program("functions", ["--only", "validate-pool,allocate-on-annotate,sweep"]),
      ours.stack.program("functions", ["--only", "claim-on-external-ip,free-on-delete,summarize-pool"])
    ])
    await Promise.all([bridge, ...hosts].map((program) => program.ready()))
  })
  afterAll(() => ours?.close())

  it("tells in one trace who annotated the Service and what followed, over functions, hosts and the API server", async () => {
    await ours.service("first", { annotations: {} })
    await ours.cluster.kubectl("annotate service first -n trace external-ip=auto")
    await ours.shows("first", "10.79.0.1")
    await used(1)
    const of = async () =>
      (await traces("service/trace/first")).find((part) =>
        /services\/trace\/first modified by kubectl-annotate \(Update\) at \d\d:\d\d:\d\d/.test(part)
      )
    const trace = await until(
      "summarize-pool to be in the trace",
      async () => {
        const found = await of()
        return found?.includes("summarize-pool for ipclaimpools.ipcontroller.ext/trace") && found
      },
      { last: of }
    )
    const steps = [
      "services/trace/first modified by kubectl-annotate",
      "allocate-on-annotate for services/trace/first",
      "gave 10.79.0.1 from trace",
      "create ipclaims.ipcontroller.ext/10-79-0-1",
      "patch services/trace/first",
      "event",
      "ipclaims.ipcontroller.ext/10-79-0-1 added",
      "summarize-pool for ipclaimpools.ipcontroller.ext/trace",
      "1 of 1 in use",
      "patch ipclaimpools.ipcontroller.ext/trace/status"
    ]
    for (const step of steps) expect(trace).toContain(step)
  })

  it("says of a Service that waits what the function decided last", async () => {
    await ours.service("second")
    await ours.event("second", "AllocationFailed")
    const said = await until("the decision to be on record", async () => {
      const out = await ask("why", "allocate-on-annotate", "service/trace/second")
      return out.includes("rejected") && out
    })
    expect(said).toContain("yes  asksForAnAddress")
    expect(said).toMatch(/rejected: no free IPv4 address: .*trace has no free address \(1 of 1 in use\)/)
  })

  it("names the first predicate that says no", async () => {
    await ours.service("silent", { annotations: {} })
    const said = await until("the Service to be known", async () => {
      const out = await ask("why", "allocate-on-annotate", "service/trace/silent")
      return !out.includes("there is no such object") && out
    })
    expect(said).toContain("no   asksForAnAddress")
    expect(said).toContain("allocate-on-annotate has nothing to do for it: asksForAnAddress does not hold")
  })

  it("names nobody where something was only removed or deleted, and not who had set it before the bridge began", async () => {
    await ours.cluster.kubectl("annotate service silent -n trace external-ip=auto --field-manager=alice")
    const setAt = Date.now()
    const said = async (what: string) =>
      (await ask("trace", "service/trace/silent")).split(`silent modified by ${what}`).length - 1
    const isSaid = (what: string, times: number) =>
      until(`to say ${times} times: by ${what}`, async () => (await said(what)) === times)
    const somebody = "somebody: Kubernetes keeps no name of who only removes or deletes"
    await until("alice's annotation to be past", async () => Date.now() - setAt > 4_000)
    await bridge.kill("SIGTERM")
    bridge = await ours.stack.program("bridge")
    await bridge.ready()
    // It is at work: what changes from now on is watched.
    await ours.cluster.kubectl("annotate service silent -n trace seen=yes --field-manager=carol")
    await isSaid("carol", 1)
    await ours.cluster.kubectl("annotate service silent -n trace external-ip-")
    await isSaid(somebody, 1)
    const finalizers = (list: string) =>
      ours.cluster.kubectl(
        `patch service silent -n trace --field-manager=bob --type=merge -p {"metadata":{"finalizers":${list}}}`
      )
    await finalizers('["test.ext/held"]')
    await isSaid("bob", 1)
    await ours.cluster.kubectl("delete service silent -n trace --wait=false")
    await isSaid(somebody, 2)
    await finalizers("null")
    expect([await said("alice"), await said("bob")]).toEqual([1, 1])
  })

  it("judges by the settings that it is given", async () => {
    await ours.service("balanced", { annotations: {}, spec: { type: "LoadBalancer" } })
    const asks = (...flags: ReadonlyArray<string>) =>
      ask("why", ...flags, "allocate-on-annotate", "service/trace/balanced")
    await until("the Service to be known", async () => !(await asks()).includes("there is no such object"))
    expect(await asks()).toContain("yes  asksForAnAddress")
    expect(await asks("--load-balancers", "class")).toContain("no   asksForAnAddress")
    await ours.cluster.kubectl("delete service balanced -n trace")
  })

  it("tells how the deletion of one Service came to serve another that waited", async () => {
    await ours.cluster.kubectl("delete service first -n trace")
    await ours.shows("second", "10.79.0.1")
    const of = async () =>
      (await traces("service/trace/first")).find((part) => /services\/trace\/first deleted/.test(part))
    const trace = await until(
      "the waiting Service to be in the trace of the deleted one",
      async () => {
        const found = await of()
        return found?.includes("allocate-on-annotate for services/trace/second") && found
      },
      { last: of }
    )
    const steps = [
      "free-on-delete for services/trace/first",
      "freed 10.79.0.1: its Service is gone",
      "delete ipclaims.ipcontroller.ext/10-79-0-1",
      "ipclaims.ipcontroller.ext/10-79-0-1 deleted",
      "allocate-on-annotate for services/trace/second",
      "gave 10.79.0.1 from trace",
      "patch services/trace/second"
    ]
    for (const step of steps) expect(trace).toContain(step)
  })

  it("is asked in any of a kind's names, and says how it is asked", async () => {
    expect(await ask("trace", "svc/trace/second")).toContain("services/trace/second")
    const wrong = await extip(["trace", "pod/x/y", "--nats", ours.stack.nats.as("reader")])
    expect(wrong.code).toBe(1)
    expect(wrong.out + wrong.error).toContain('there is no kind "pod"; there are')
    const short = await extip(["trace", "service/second", "--nats", ours.stack.nats.as("reader")])
    expect(short.out + short.error).toContain("write service/NAMESPACE/NAME")
    expect(await ask("trace", "service/trace/never")).toContain("nothing is on record of service/trace/never")
  })

  it("is accompanied by figures: every process has its metrics", async () => {
    const ofBridge = await bridge.metrics()
    for (const name of [
      "extip_bridge_events_published_total",
      "extip_bridge_synthesized_deletes_total",
      "extip_bridge_watch_restarts_total",
      "extip_bridge_active"
    ]) {
      expect(ofBridge).toContain(`# TYPE ${name}`)
    }
    const ofHosts = (await Promise.all(hosts.map((host) => host.metrics()))).join("\n")
    for (const name of [
      "extip_events_received_total",
      "extip_consumer_pending",
      "extip_event_lag_seconds",
      "extip_run_duration_seconds",
      "extip_runs_total",
      "extip_retries_total",
      "extip_parked_total",
      "extip_retrying",
      "extip_pool_size",
      "extip_pool_used",
      "extip_pool_available",
      "extip_change_to_done_seconds"
    ]) {
      expect(ofHosts).toContain(`# TYPE ${name}`)
    }
    expect(ofHosts).toMatch(/extip_pool_used\{[^}]*pool="trace"[^}]*\} 1\n/)
    expect(ofHosts).toMatch(/extip_runs_total\{[^}]*function="allocate-on-annotate"[^}]*\} \d+/)
  })
})
