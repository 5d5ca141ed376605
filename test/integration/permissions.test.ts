import { join } from "node:path"
import { afterAll, beforeAll, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { stringify } from "yaml"
import type { KindId, Need } from "#runtime"
import { bridgeRules, hostRules } from "../../infra/rbac.ts"
import { describeNeed } from "../../runtime/Needs.ts"
import { Cluster, repository } from "../support/cluster.ts"
import { withControlPlane } from "../support/parts.ts"
import { mayDo, permitted, roleFor } from "../support/permitted.ts"
import { everyVerb } from "../support/scenarios/everyVerb.ts"
import { until } from "../support/until.ts"
import { all } from "../support/world.ts"

/** Each thing that each function asks of the API server, once. */
const declared = all.flatMap((fn) =>
  [...new Map(fn.needs.map((need) => [describeNeed(need), need])).values()]
    .filter(({ verb }) => verb !== "watch")
    .map((need, index) => ({ fn, need, what: describeNeed(need), user: `${fn.name}-${index}` }))
)

const without = (needs: ReadonlyArray<Need>, gone: Need) =>
  needs.filter((need) => describeNeed(need) !== describeNeed(gone))

/** What each identity must not be able to do, by the roles of the manifests: a sample of what would hurt. */
const never: ReadonlyArray<readonly [account: string, verb: string, resource: string]> = [
  ...["extip-bridge", "extip-functions", "extip-node", "extip-nats"].flatMap((account) =>
    [
      ["get", "secrets"],
      ["list", "secrets"],
      ["watch", "secrets"],
      ["get", "configmaps"],
      ["create", "pods"],
      ["create", "pods/exec"],
      ["list", "pods"],
      ["create", "services"],
      ["delete", "services"],
      ["update", "services"],
      ["patch", "nodes"],
      ["patch", "nodes/status"],
      ["create", "nodes/proxy"],
      ["patch", "namespaces"],
      ["create", "serviceaccounts/token"],
      ["impersonate", "users"],
      ["bind", "clusterroles.rbac.authorization.k8s.io"],
      ["escalate", "clusterroles.rbac.authorization.k8s.io"],
      ["create", "clusterrolebindings.rbac.authorization.k8s.io"],
      ["patch", "customresourcedefinitions.apiextensions.k8s.io"],
      ["patch", "daemonsets.apps"],
      ["patch", "deployments.apps"],
      ["patch", "ipclaimpools.ipcontroller.ext"],
      ["delete", "ipclaimpools.ipcontroller.ext"],
      ["patch", "ipnodes.ipcontroller.ext"],
      ["delete", "ipnodes.ipcontroller.ext"],
      ["deletecollection", "ipclaims.ipcontroller.ext"],
      ["patch", "events"],
      ["list", "events"]
    ].map(([verb, resource]) => [account, verb!, resource!] as const)
  ),
  ...["extip-bridge", "extip-node", "extip-nats"].flatMap((account) =>
    [
      ["get", "services"],
      ["patch", "services"],
      ["patch", "services/status"],
      ["create", "events"],
      ["create", "ipclaims.ipcontroller.ext"],
      ["patch", "ipclaims.ipcontroller.ext/status"],
      ["delete", "ipclaims.ipcontroller.ext"]
    ].map(([verb, resource]) => [account, verb!, resource!] as const)
  ),
  ...["extip-functions", "extip-node", "extip-nats"].flatMap((account) =>
    ["services", "nodes", "namespaces", "ipclaims.ipcontroller.ext"].flatMap((resource) => [
      [account, "list", resource] as const,
      [account, "watch", resource] as const
    ])
  )
]

withControlPlane("the accounts of the manifests", (shared) => {
  let cluster: Cluster
  beforeAll(async () => {
    cluster = await Cluster.open(shared)
    await cluster.applyCrds()
    for (const file of ["namespaces", "rbac"]) {
      await cluster.kubectl(["apply", "-f", join(repository, `infra/deploy/base/${file}.yaml`)])
    }
  })
  afterAll(() => cluster?.close())

  const userOf = (account: string) => {
    const namespace = account === "extip-node" ? "extip-node" : "extip-system"
    return `system:serviceaccount:${namespace}:${account}`
  }
  const kindOf = (resource: string): { readonly kind: KindId; readonly subresource: string } => {
    const [whole, subresource = ""] = resource.split("/")
    const [plural, ...group] = whole!.split(".")
    // Where a subresource stands behind the group.
    return {
      kind: { group: group.join("."), version: "v1", kind: plural!, plural: plural!, namespaced: false },
      subresource
    }
  }

  it("may do what is written down, which the API server confirms", async () => {
    const granted = [
      ["extip-bridge", bridgeRules(all)],
      ["extip-functions", hostRules(all)]
    ] as const
    for (const [account, rules] of granted) {
      for (const { apiGroups, resources, verbs } of rules) {
        for (const resource of resources) {
          for (const verb of verbs) {
            const [plural, subresource = ""] = resource.split("/")
            const kind = {
              group: apiGroups[0]!,
              version: "v1",
              kind: plural!,
              plural: plural!,
              namespaced: false
            }
            const may = mayDo(cluster, userOf(account), verb, kind, subresource)
            await until(`${account} to be let ${verb} ${resource}`, () => Effect.runPromise(may))
          }
        }
      }
    }
  })

  it(`may not do any of ${never.length} other things`, async () => {
    const allowed: Array<string> = []
    for (const [account, verb, resource] of never) {
      const { kind, subresource } = kindOf(resource)
      if (await Effect.runPromise(mayDo(cluster, userOf(account), verb, kind, subresource))) {
        allowed.push(`${account}: ${verb} ${resource}`)
      }
    }
    expect(allowed).toEqual([])
  })

  it("of the node runtime may do nothing but what Kubernetes lets every account do", async () => {
    const list = (user: string) => cluster.kubectl(["auth", "can-i", "--list", "--as", user])
    const anybody = await list("system:serviceaccount:default:anybody")
    expect(anybody).toContain("selfsubjectaccessreviews")
    expect(await list(userOf("extip-node"))).toBe(anybody)
    expect(await list(userOf("extip-nats"))).toBe(anybody)
    const asked = cluster.kubectl(["get", "services", "--as", userOf("extip-node")])
    await expect(asked).rejects.toThrow("Forbidden")
  })
})

withControlPlane("a function under the role that is made of its needs", (shared) => {
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await Cluster.open(shared)
    await cluster.applyCrds()
    const roles = [
      ...all.flatMap((fn) => roleFor(fn.name, hostRules([fn]))),
      ...declared.flatMap(({ fn, need, user }) =>
        roleFor(user, hostRules([{ name: fn.name, needs: without(fn.needs, need) }]))
      )
    ]
    await cluster.kubectl("apply -f -", roles.map((one) => stringify(one)).join("---\n"))
    const [last] = all.slice(-1)
    await until("the roles to be known", () =>
      Effect.runPromise(
        mayDo(cluster, last!.name, "delete", last!.needs.find(({ verb }) => verb === "delete")!.kind)
      )
    )
  })
  afterAll(() => cluster?.close())

  it.each(all.map((fn) => [fn.name, fn] as const))("%s is never told that it may not", async (name, fn) => {
    const causes = await everyVerb(fn, permitted(cluster, name))
    expect(causes.filter((cause) => cause.includes("not allowed"))).toEqual([])
  })

  it.each(declared.map((one) => [one.fn.name, one.what, one] as const))(
    "%s fails without the permission to %s",
    async (_, what, { fn, need, user }) => {
      const causes = await everyVerb(
        fn,
        permitted(cluster, user),
        need.verb === "get" ? need.kind : undefined
      )
      const refused = causes.filter((cause) => cause.includes("not allowed"))
      expect(refused[0] ?? causes).toContain(what)
    }
  )
})
