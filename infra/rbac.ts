import { type FunctionDefinition, type KindId, type Need, resourceName } from "#runtime"

/** A Kubernetes object, as it is written into a manifest. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly [field: string]: unknown }
  readonly [field: string]: unknown
}

/** A rule of a ClusterRole. */
export interface Rule {
  readonly apiGroups: ReadonlyArray<string>
  readonly resources: ReadonlyArray<string>
  readonly verbs: ReadonlyArray<string>
}

type Declared = Pick<FunctionDefinition<any>, "name" | "needs">

export const namespace = "extip-system"
/** The node runtime has one of its own: what its Pods may do on a node, no other Pod of ours may. */
export const nodeNamespace = "extip-node"

/** The order in which administrators read them. */
const verbs = ["get", "list", "watch", "create", "patch", "delete"]
const inOrder = (all: Iterable<string>) => [...all].toSorted((a, b) => verbs.indexOf(a) - verbs.indexOf(b))

/** Group and resource → verbs; as few rules as that takes, in one order always. */
const rulesOf = (granted: Iterable<readonly [group: string, resource: string, verb: string]>) => {
  const byResource = new Map<string, { group: string; resource: string; verbs: Set<string> }>()
  for (const [group, resource, verb] of granted) {
    const key = `${group}/${resource}`
    const entry = byResource.get(key) ?? { group, resource, verbs: new Set() }
    entry.verbs.add(verb)
    byResource.set(key, entry)
  }
  const byVerbs = new Map<string, Rule & { readonly resources: Array<string> }>()
  for (const [, one] of [...byResource].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    const key = `${one.group} ${inOrder(one.verbs)}`
    const rule = byVerbs.get(key) ?? { apiGroups: [one.group], resources: [], verbs: inOrder(one.verbs) }
    rule.resources.push(one.resource)
    byVerbs.set(key, rule)
  }
  return [...byVerbs.values()] as ReadonlyArray<Rule>
}

/** The kinds that the functions read from the view. */
const watched = (functions: ReadonlyArray<Declared>): ReadonlyArray<KindId> => [
  ...new Map(
    functions
      .flatMap(({ needs }) => needs)
      .filter(({ verb }) => verb === "watch")
      .map(({ kind }) => [resourceName(kind), kind])
  ).values()
]

/** What the bridge may do: list and watch what any function reads. It never writes, nor reads a single object. */
export const bridgeRules = (functions: ReadonlyArray<Declared>): ReadonlyArray<Rule> =>
  rulesOf(
    watched(functions).flatMap(({ group, plural }) => [
      [group, plural, "list"] as const,
      [group, plural, "watch"] as const
    ])
  )

const requestOf = ({ kind, verb, subresource }: Need) =>
  [kind.group, subresource === "" ? kind.plural : `${kind.plural}/${subresource}`, verb] as const

/** What a host of these functions may do: what they declare, and to write Events, which any of them may cause. */
export const hostRules = (functions: ReadonlyArray<Declared>): ReadonlyArray<Rule> =>
  rulesOf([
    ...functions
      .flatMap(({ needs }) => needs)
      .filter(({ verb }) => verb !== "watch")
      .map(requestOf),
    ["", "events", "create"] as const
  ])

export const labels = { "app.kubernetes.io/part-of": "extip" }

/** Only who talks to the API server gets a token, and only where the Pod asks for it. */
export const serviceAccount = (name: string, where: string = namespace): Manifest => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: { name, namespace: where, labels },
  automountServiceAccountToken: false
})

/** A ClusterRole, bound to a service account of ours: the objects are cluster-scoped, Services are everywhere. */
export const granted = (
  name: string,
  rules: ReadonlyArray<Rule>,
  account: string = name
): ReadonlyArray<Manifest> => {
  const apiVersion = "rbac.authorization.k8s.io/v1"
  return [
    { apiVersion, kind: "ClusterRole", metadata: { name, labels }, rules },
    {
      apiVersion,
      kind: "ClusterRoleBinding",
      metadata: { name, labels },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
      subjects: [{ kind: "ServiceAccount", name: account, namespace }]
    }
  ]
}

/** Accounts and permissions of the controller. The node runtime and NATS have an account without any. */
export const rbac = (functions: ReadonlyArray<Declared>): ReadonlyArray<Manifest> => [
  ...["extip-bridge", "extip-functions", "extip-nats"].map((name) => serviceAccount(name)),
  serviceAccount("extip-node", nodeNamespace),
  ...granted("extip-bridge", bridgeRules(functions)),
  ...granted("extip-functions", hostRules(functions))
]

/** The rules of `wanted` that `present` does not cover. */
export const beyond = (wanted: ReadonlyArray<Rule>, present: ReadonlyArray<Rule>): ReadonlyArray<Rule> => {
  const triples = (rules: ReadonlyArray<Rule>) =>
    rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => [group, resource, verb] as const))
      )
    )
  const there = new Set(triples(present).map((one) => one.join(" ")))
  return rulesOf(triples(wanted).filter((one) => !there.has(one.join(" "))))
}
