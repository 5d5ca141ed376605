import { Assignment } from "../Assignment.ts"
import { resourceName } from "../Kind.ts"
import type { SpanRecord } from "./span.ts"

const prefix = `${resourceName(Assignment)}/`

/** `assignments.nats/<claim>`: whom a node runs for. */
export const assignmentPath = (claim: string): string => `${prefix}${claim}`

/** Whether a node did it, on the wire. Its event is one of `assignments`, and not of the log. */
export const isOnNode = ({ object }: Pick<SpanRecord, "object">): boolean => object.startsWith(prefix)

/** A claim that runs of a story have placed on nodes. */
export interface Placed {
  readonly claim: string
  /** For whom it was placed, as in `ipclaims.ipcontroller.ext/192-168-0-249`. */
  readonly objects: ReadonlySet<string>
  /**
   * Whether what happened to the claim in this moment (milliseconds since the epoch) is part of the story: an address
   * that was freed is soon another object's.
   */
  readonly isIn: (at: number) => boolean
}

/** The claims that these runs have placed. */
export const placedBy = (spans: ReadonlyArray<SpanRecord>): ReadonlyArray<Placed> => {
  const writes = spans.flatMap((span) =>
    span.writes.filter(({ failure }) => failure === undefined).map((write) => ({ ...write, of: span.object }))
  )
  const placed = Map.groupBy(
    writes.filter(({ verb }) => verb === "place"),
    ({ object }) => object.slice(object.indexOf("/") + 1)
  )
  const ends = writes.filter(({ verb }) => verb === "create" || verb === "delete")
  return Array.from(placed, ([claim, places]) => {
    const objects = new Set(places.map(({ of }) => of))
    const marks = ends
      .filter(({ object }) => objects.has(object))
      .sort((one, other) => one.start - other.start)
    const isIn = (at: number) => {
      const last = marks.findLast(({ start }) => start <= at)
      // Made before anything that is on record.
      return last === undefined ? marks[0]?.verb !== "create" : last.verb === "create"
    }
    return { claim, objects, isIn }
  })
}
