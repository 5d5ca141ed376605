import * as Effect from "effect/Effect"
import { type Assignment, type BindFailure, type Bound, HeldByOurs, type Wire } from "#runtime"

type Spec = Assignment["spec"]

/** A network of one node, in memory: what is on its link, and who else answers. */
export class WireInMemory {
  /** Claim → address on the link */
  readonly link = new Map<string, string>()
  readonly watched = new Set<string>()
  /** Address → the node that answers for it */
  readonly others = new Map<string, string>()
  /** What the kernel or the network says no with, one after the other. */
  readonly failures: Array<BindFailure> = []
  /** Frames that announced an address. */
  announced = 0

  readonly service: (typeof Wire)["Service"] = {
    bind: (assignment: Spec) =>
      Effect.suspend((): Effect.Effect<Bound | undefined, BindFailure> => {
        const { claim, address } = assignment
        this.watched.delete(claim)
        const bound = { address, link: "eth0", mac: "02:00:00:00:00:01", isNew: !this.link.has(claim) }
        if (!bound.isNew) return Effect.succeed(bound)
        const failure = this.failures.shift()
        if (failure !== undefined) return Effect.fail(failure)
        const node = this.others.get(address)
        if (node !== undefined) return Effect.fail(new HeldByOurs({ address, node }))
        this.link.set(claim, address)
        this.announced++
        return Effect.succeed(bound)
      }),
    standBy: ({ claim }: Spec) =>
      Effect.sync(() => {
        this.link.delete(claim)
        this.watched.add(claim)
      }),
    release: (claim) =>
      Effect.sync(() => {
        this.watched.delete(claim)
        const address = this.link.get(claim)
        this.link.delete(claim)
        return address
      })
  }
}
