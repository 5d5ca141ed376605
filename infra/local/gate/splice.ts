import type { Socket } from "node:net"

/** Everything that one says reaches the other, its end and its failure as well. */
export const splice = (one: Socket, other: Socket): void => {
  for (const [from, to] of [
    [one, other],
    [other, one]
  ] as const) {
    from.setNoDelay(true)
    from.on("error", () => to.resetAndDestroy())
    from.on("close", () => to.destroy())
    from.pipe(to)
  }
}
