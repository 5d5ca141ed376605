import * as Schema from "effect/Schema"

/**
 * A part of the local stack could not be found, built, started or ended. `what` names the part, `detail` says
 * why.
 */
export class LocalFailure extends Schema.TaggedError<LocalFailure>()("LocalFailure", {
  what: Schema.String,
  detail: Schema.String,
  cause: Schema.optionalKey(Schema.Defect())
}) {
  override get message() {
    return `${this.what}: ${this.detail}`
  }
}

/** What was thrown, in one line. */
export const reasonOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

/** Where progress goes, one line a call. */
export type Say = (line: string) => void
