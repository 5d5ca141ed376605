import { setImmediate as turn } from "node:timers/promises"

/**
 * Changes per system call: at first, and at most. For each change of an IPv6 address the kernel looks at all that it
 * has, so that with thousands fewer are made before the event loop has its turn.
 */
const [fewest, most] = [10, 100]
const aimedMillis = 5

/** One result for each thing. */
type Change<A> = (some: ReadonlyArray<A>) => ReadonlyArray<number>

/**
 * Makes changes in the order in which they are asked for, some at a time: a renewal that takes long holds up the event
 * loop no longer than 5 ms at once, and does not undo the removal that is asked for meanwhile.
 */
export const inTurn = (): (<A>(
  things: ReadonlyArray<A>,
  change: Change<A>
) => Promise<ReadonlyArray<number>>) => {
  let last: Promise<unknown> = Promise.resolve()
  return (things, change) => {
    const done = last.then(async () => {
      const results: Array<number> = []
      let count = most
      while (results.length < things.length) {
        if (results.length > 0) await turn()
        const start = performance.now()
        results.push(...change(things.slice(results.length, results.length + count)))
        const millis = Math.max(performance.now() - start, 0.1)
        count = Math.min(most, Math.max(fewest, Math.round((count * aimedMillis) / millis)))
      }
      return results
    })
    last = done.catch(() => {})
    return done
  }
}
