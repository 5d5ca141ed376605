import { AlreadyExists, Conflict, type FunctionDefinition, type KindId } from "#runtime"
import { testLink } from "#testkit"
import { claimName } from "../../../functions/domain/addresses.ts"
import { IpClaim, Service } from "../../../functions/domain/kinds.ts"
import type { KubeApi } from "../../../runtime/kube/api.ts"
import { failing, upon } from "../faults.ts"
import { all, run, World } from "../world.ts"

/** What runs between one function and the store. */
type Through = (api: KubeApi) => KubeApi

/** Whoever writes objects of this kind loses once to somebody else. */
const losingOnce = ({ kind }: KindId): Through => {
  const what = { operation: "", detail: "somebody came first" }
  return (api) =>
    [
      failing(`create ${kind}`, [new AlreadyExists(what)]),
      failing(`mergePatch ${kind}`, [new Conflict(what)]),
      failing(`apply ${kind}`, [new Conflict(what)]),
      failing(`remove ${kind}`, [new Conflict(what)])
    ].reduce((inner, fault) => fault(inner), api)
}

/**
 * A story in which every function needs everything that it has declared, told to one of them through `through`. Where
 * `losing` names a kind, the function loses its first write of each sort. Answers with the causes of what failed.
 */
export const everyVerb = async (
  fn: FunctionDefinition<any>,
  through: Through,
  losing?: KindId
): Promise<ReadonlyArray<string>> => {
  let doomed: () => Promise<unknown> = () => Promise.resolve()
  const dies = upon("mergePatch Service", () => doomed())
  const around = losing === undefined ? dies : losingOnce(losing)
  const one = new World([fn], { through: (api) => around(through(api)) })
  const others = one.another(all.filter(({ name }) => name !== fn.name))
  const settle = async () => {
    for (let round = 0; round < 6; round++) for (const world of [one, others]) await world.settle()
  }
  const { fleet } = one.cluster
  const report = (address: string, what: "bound" | "conflict") => {
    const claim = claimName(address)
    const term = fleet.placements.get(claim)?.term ?? 9
    const foreign = what === "conflict" ? { foreign: "02:99:00:00:00:07" } : {}
    fleet.report({ claim, address, node: "n1", what, term, at: Date.now(), ...foreign })
  }

  fleet.join("n1", [testLink()])
  await one.pool("lan", { cidr: "10.0.0.0/28" })
  // It is gone when its address is to be published: the claim is given back.
  doomed = () => run(one.cluster.delete(Service, { namespace: "default", name: "doomed" }))
  await one.asking("doomed")
  await settle()
  // Those that lived through it: whoever did not allocate meant another Service.
  await one.asking("web")
  await one.service("balanced", { spec: { type: "LoadBalancer" } })
  const shared = (port: number) => ({
    annotations: { "external-ip-share": "key" },
    spec: { ports: [{ port, protocol: "TCP" }] }
  })
  await one.asking("share-80", "10.0.0.9", shared(80))
  await settle()
  await one.asking("share-443", "10.0.0.9", shared(443))
  await one.service("by-hand", { spec: { externalIPs: ["10.0.0.12"] } })
  await settle()
  await one.service("by-hand-too", { spec: { externalIPs: ["10.0.0.12"] } })
  await settle()
  await one.edit("by-hand", { spec: { ports: [{ port: 81, protocol: "TCP" }] } })
  await settle()
  report("10.0.0.9", "bound")
  for (const name of ["web", "balanced"]) {
    const shown = name === "web" ? (one.externalIPs(name) ?? []) : one.ingress(name)
    for (const address of shown) report(address, "conflict")
    await settle()
  }
  // It holds one that no claim is known for: whether there is one is asked before it has to let go.
  fleet.inventory("n1", [{ claim: "10-0-0-13", address: "10.0.0.13" }])
  await one.annotate("web", { "external-ip": null })
  await one.annotate("balanced", { "external-ip-pool": "another" })
  await one.annotate("share-80", { "external-ip": null })
  await settle()
  await run(
    one.cluster.create(IpClaim, {
      metadata: { name: "10-0-0-14", creationTimestamp: "2020-01-01T00:00:00Z" },
      spec: { cidr: "10.0.0.14/32", pool: "lan", services: [] }
    })
  )
  one.cluster.tick()
  await settle()
  return one.troubles
}
