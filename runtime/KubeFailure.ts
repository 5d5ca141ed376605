import * as Schema from "effect/Schema"
import { type Disposition, Park, Retry, RetryAfter } from "./Disposition.ts"

const what = { operation: Schema.String, detail: Schema.String }

/** The object changed, or is another one, since it was read (409). */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", what) {
  readonly disposition: Disposition = Retry
  override get message() {
    return `${this.operation}: it changed meanwhile (${this.detail})`
  }
}

/** The name is taken (409). */
export class AlreadyExists extends Schema.TaggedError<AlreadyExists>()("AlreadyExists", what) {
  readonly disposition: Disposition = Retry
  override get message() {
    return `${this.operation}: the name is taken (${this.detail})`
  }
}

/** There is no such object (404). */
export class NotFound extends Schema.TaggedError<NotFound>()("NotFound", what) {
  readonly disposition: Disposition = Retry
  override get message() {
    return `${this.operation}: there is no such object (${this.detail})`
  }
}

/** The credentials do not suffice (401, 403). An administrator has to act, so it is tried again only now and then. */
export class Forbidden extends Schema.TaggedError<Forbidden>()("Forbidden", what) {
  readonly disposition: Disposition = RetryAfter("30 seconds", "NotAllowed")
  override get message() {
    return `${this.operation}: not allowed (${this.detail})`
  }
}

/** The API server refuses the object (400, 415, 422): a fault of ours. */
export class Invalid extends Schema.TaggedError<Invalid>()("Invalid", what) {
  readonly disposition: Disposition = Park
  override get message() {
    return `${this.operation}: refused (${this.detail})`
  }
}

/** The API server could not be asked, or was busy (429, 5xx, network, time-out). The write may have happened. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  ...what,
  retryAfterMillis: Schema.optionalKey(Schema.Finite)
}) {
  get disposition(): Disposition {
    return this.retryAfterMillis === undefined ? Retry : RetryAfter(this.retryAfterMillis)
  }
  override get message() {
    return `${this.operation}: the API server is unavailable (${this.detail})`
  }
}

export type KubeFailure = Conflict | AlreadyExists | NotFound | Forbidden | Invalid | Unavailable
