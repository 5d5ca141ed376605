import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Nats, type NatsOptions } from "../../runtime/nats/connection.ts"

export type NatsClient = (typeof Nats)["Service"]

/** A connection as our processes have it, closed with the scope. */
export const natsClient = async (options: NatsOptions, scope: Scope.Scope): Promise<NatsClient> =>
  Context.get(await Effect.runPromise(Layer.buildWithScope(Layer.fresh(Nats.layer(options)), scope)), Nats)
