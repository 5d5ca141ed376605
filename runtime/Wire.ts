import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Disposition, Retry, RetryAfter } from "./Disposition.ts"
import type { Assignment } from "./fleet/messages.ts"

/** No link of this node fits the address; one that comes up wakes the function again. */
export class NoFittingLink extends Schema.TaggedError<NoFittingLink>()("NoFittingLink", {
  address: Schema.String,
  detail: Schema.String
}) {
  readonly disposition: Disposition = RetryAfter("5 seconds")
  override get message() {
    return `no link for ${this.address}: ${this.detail}`
  }
}

/** Another node of ours answers for the address, or is about to: it is let go first. */
export class HeldByOurs extends Schema.TaggedError<HeldByOurs>()("HeldByOurs", {
  address: Schema.String,
  node: Schema.String
}) {
  // Soon at first: it was told to leave when this node was told to come. Its farewell wakes the function as well.
  readonly disposition: Disposition = Retry
  override get message() {
    return `${this.node} still answers for ${this.address}`
  }
}

/** Somebody answers for the address who may be a node of ours that has yet to be heard of, or that is too busy to say so. */
export class HeldByUnknown extends Schema.TaggedError<HeldByUnknown>()("HeldByUnknown", {
  address: Schema.String,
  mac: Schema.String
}) {
  readonly disposition: Disposition = RetryAfter("1 second")
  override get message() {
    return `${this.mac} answers for ${this.address}, and has not said yet whether it is a node of ours`
  }
}

/** A machine that is none of ours has the address. It is reported, and tried again now and then. */
export class HeldByForeign extends Schema.TaggedError<HeldByForeign>()("HeldByForeign", {
  address: Schema.String,
  mac: Schema.String
}) {
  readonly disposition: Disposition = RetryAfter("60 seconds")
  override get message() {
    return `${this.mac}, which is no node of ours, answers for ${this.address}`
  }
}

/** The kernel refused the address. */
export class KernelSaidNo extends Schema.TaggedError<KernelSaidNo>()("KernelSaidNo", {
  address: Schema.String,
  errno: Schema.Int
}) {
  readonly disposition: Disposition = Retry
  override get message() {
    return `the kernel refused ${this.address}: errno ${this.errno}`
  }
}

export type BindFailure = NoFittingLink | HeldByOurs | HeldByUnknown | HeldByForeign | KernelSaidNo

/** An address that is on a link of this node and was announced there. */
export interface Bound {
  readonly address: string
  readonly link: string
  readonly mac: string
  /** `false`: it was there already. */
  readonly isNew: boolean
}

/** The network of this node, as `bind-on-node` sees it. */
export class Wire extends Context.Service<
  Wire,
  {
    /**
     * Asks the network for the address, puts it on the link that fits and announces it. One that this node holds
     * already stays as it is. `undefined`: the assignment is another one by now.
     */
    readonly bind: (assignment: Assignment) => Effect.Effect<Bound | undefined, BindFailure>
    /** From now on this node watches the holder, and takes over when it is silent. */
    readonly standBy: (assignment: Assignment) => Effect.Effect<void>
    /** Takes the claim's address off the link, and stands by for it no longer. The address, if this node had it. */
    readonly release: (claim: string, reason: string) => Effect.Effect<string | undefined>
  }
>()("extip/Wire") {}
