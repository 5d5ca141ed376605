import { all, run, World } from "../../test/support/world.ts"
import { IpClaim } from "../domain/kinds.ts"

export const claimRef = (address: string) => ({ namespace: "", name: address.replaceAll(".", "-") })
export const entry = (world: World, name: string, more: object = {}) => ({
  namespace: "default",
  name,
  uid: world.now(name).metadata.uid,
  origin: "allocated",
  ports: [{ port: 80, protocol: "TCP" }],
  ...more
})
export const claim = (world: World, address: string, services: ReadonlyArray<object>, status?: object) =>
  run(
    world.cluster.create(IpClaim, {
      metadata: { name: claimRef(address).name },
      spec: { cidr: `${address}/32`, pool: "lan", services },
      ...(status && { status })
    })
  )

/** Nobody has been woken yet: all events so far were lost. */
export const lost = async (prepare: (world: World) => Promise<unknown>) => {
  const before = new World([])
  await before.pool("lan", { cidr: "10.0.0.0/29" })
  await prepare(before)
  return before.another(all)
}
export const carrying = (address: string) => ({
  annotations: { "external-ip": "auto", "ipcontroller.ext/allocated": address }
})
export const causes = (world: World): ReadonlyArray<string> =>
  world.cluster.runs.flatMap(({ function: fn, ended }) =>
    fn === "sweep" && ended._tag === "Done" && ended.decision !== undefined ? [ended.decision] : []
  )
