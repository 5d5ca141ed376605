import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import { stringify } from "yaml"
import { resourceName } from "#runtime"
import { IpClaimPool } from "../../functions/domain/kinds.ts"
import { bridgeRules, hostRules, type Rule } from "../../infra/rbac.ts"
import { type BridgeNews, runBridge } from "../../runtime/bridge/bridge.ts"
import { kindsOf } from "../../runtime/host/kinds.ts"
import type { ClusterAccess } from "../../runtime/kube/access.ts"
import { httpApi } from "../../runtime/kube/http.ts"
import { withParts } from "../support/parts.ts"
import { roleFor } from "../support/permitted.ts"
import { Stack } from "../support/stack.ts"
import { until } from "../support/until.ts"
import { all, only } from "../support/world.ts"

/** The rules but for one verb on one resource. */
const without = (rules: ReadonlyArray<Rule>, verb: string, resource: string): ReadonlyArray<Rule> =>
  rules.flatMap((rule) =>
    rule.resources.flatMap((one) => {
      const verbs = rule.verbs.filter((each) => !(each === verb && one === resource))
      return verbs.length === 0 ? [] : [{ ...rule, resources: [one], verbs }]
    })
  )

withParts("without one permission", (shared) => {
  let stack: Stack
  const as = (user: string): ClusterAccess => ({
    ...stack.cluster.access,
    headers: async () => ({ ...(await stack.cluster.access.headers()), "impersonate-user": user })
  })
  const give = async (user: string, rules: ReadonlyArray<Rule>) => {
    const objects = roleFor(user, rules).map((one) => stringify(one))
    await stack.cluster.kubectl("apply -f -", objects.join("---\n"))
  }

  beforeAll(async () => {
    stack = await Stack.open(shared)
    await stack.cluster.applyCrds()
  })
  afterAll(() => stack?.close())

  const watched = kindsOf(all).flatMap((kind) => [[kind, "list"] as const, [kind, "watch"] as const])
  const bridged = watched.map(([kind, verb]) => [`${verb} ${resourceName(kind)}`, kind, verb] as const)

  it.each(bridged)("to %s the bridge does not follow it, and says why", async (_, kind, verb) => {
    const user = `bridge-without-${verb}-${kind.plural}`
    await give(user, without(bridgeRules(all), verb, kind.plural))
    const news: Array<BridgeNews> = []
    const stop = new AbortController()
    const say = (one: BridgeNews) => news.push(one)
    const options = { ...stack.client, cluster: as(user), kinds: [kind], say, published: () => undefined }
    const running = runBridge({ ...options, leaseSeconds: 2 }, stop.signal)
    const what = new RegExp(`cannot ${verb} resource \\\\?"${kind.plural}\\\\?"`)
    await until("it to say so", () => news.some((one) => one._tag === "Trouble" && what.test(one.message)), {
      last: () => news.slice(-3)
    })
    stop.abort()
    await running
  })

  it("to create Events a function does its work, and nobody is told", async () => {
    await stack.bridge(kindsOf(only("validate-pool")))
    const rules = hostRules(only("validate-pool"))
    await give("host-without-events", without(rules, "create", "events"))
    await give("host-with-events", rules)
    // Two that overlap: the younger one is not valid.
    const pool = { spec: { cidr: "10.79.0.0/28" } }
    const elder = { namespace: "", name: "permissions-elder" }
    await stack.cluster.create(IpClaimPool, { metadata: { name: elder.name }, ...pool })
    const judged = async (name: string, user: string) => {
      const host = await stack.host(only("validate-pool"), { api: httpApi(as(user)) })
      await stack.cluster.create(IpClaimPool, { metadata: { name }, ...pool })
      const found = await until(`${name} to be judged`, async () => {
        const { status } = (await stack.cluster.get(IpClaimPool, { namespace: "", name })) ?? {}
        return status?.conditions
      })
      expect(found).toMatchObject([{ type: "Valid", status: "False" }])
      // Its Events have been written when it has ended.
      await host.stop()
      await stack.cluster.delete(IpClaimPool, { namespace: "", name })
      return await stack.cluster.events(name, "default")
    }
    expect(await judged("permissions-mute", "host-without-events")).toEqual([])
    expect(await judged("permissions-told", "host-with-events")).toHaveLength(1)
    await stack.cluster.delete(IpClaimPool, elder)
  })
})
