import * as Effect from "effect/Effect"
import { Assignment, defineFunction, type Keyed, read, Wire } from "#runtime"

/**
 * Puts an address that is assigned to this node on its link, and takes it off again. Runs on the nodes.
 *
 * Reads   this node's assignment of the claim.
 * Writes  the address on the link, its announcement, and a report of both; or the watch over the node that holds it.
 * Repeat  harmless: what is on the link stays as it is, and is asked for on the network before it is put there.
 */
export const bindOnNode = defineFunction({
  name: "bind-on-node",
  on: [Assignment.touched],
  needs: [read(Assignment)],
  handle: Effect.fnUntraced(function* ({ ref, now }: Keyed<Assignment>) {
    const wire = yield* Wire
    if (now === undefined) {
      const left = yield* wire.release(ref.name, "it is no longer assigned to this node")
      return left === undefined ? undefined : `took ${left} off`
    }
    if (now.spec.role === "standby") return yield* wire.standBy(now.spec)
    const bound = yield* wire.bind(now.spec)
    return bound?.isNew
      ? `put ${bound.address} on ${bound.link} and announced it with ${bound.mac}`
      : undefined
  })
})
