import * as Schema from "effect/Schema"
import { type Disposition, Reject } from "#runtime"

/** The Services that share an address got in each other's way: one was edited. Both keep it, as nobody is to say which. */
export class SharingBroken extends Schema.TaggedError<SharingBroken>()("SharingBroken", {
  address: Schema.String,
  why: Schema.String
}) {
  readonly disposition: Disposition = Reject("SharingConflict")
  override get message() {
    return `${this.address} ${this.why}; what comes for it goes to one of them only`
  }
}
