import type { JsMsg } from "@nats-io/jetstream"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type { Membership } from "./membership.ts"
import {
  Assignment,
  Complete,
  InventoryMessage,
  nodeOfToken,
  Presence,
  ReportMessage,
  whats
} from "./messages.ts"
import type { FleetState } from "./state.ts"

/** What a message looks like to `Intake`. */
export type FleetMessage = Pick<JsMsg, "subject" | "seq" | "headers" | "string">

const decoders = {
  assignment: Schema.decodeUnknownResult(Schema.fromJsonString(Assignment)),
  complete: Schema.decodeUnknownResult(Schema.fromJsonString(Complete)),
  presence: Schema.decodeUnknownResult(Schema.fromJsonString(Presence)),
  inventory: Schema.decodeUnknownResult(Schema.fromJsonString(InventoryMessage)),
  report: Schema.decodeUnknownResult(Schema.fromJsonString(ReportMessage))
}

/** Applies the messages of the three streams to the state. What has not the expected shape is passed over, and said. */
export class Intake {
  readonly #state: FleetState
  readonly #membership: Membership
  readonly #undecodable: (subject: string, problem: string) => void
  /** Node → what its key holds; most of the time a node says the same again. */
  readonly #presences = new Map<string, string>()

  constructor(
    state: FleetState,
    membership: Membership,
    undecodable: (subject: string, problem: string) => void
  ) {
    this.#state = state
    this.#membership = membership
    this.#undecodable = undecodable
  }

  begin(): void {
    this.#presences.clear()
    this.#state.begin()
    this.#membership.begin()
  }

  take(message: FleetMessage, now: number): void {
    const parts = message.subject.split(".")
    if (parts[0] === "node") this.#fromNode(message, parts)
    else if (parts[1] === "nodes") this.#presence(message, nodeOfToken(parts[2]!), now)
    else this.#assignment(message, nodeOfToken(parts[2]!), parts[3]!)
  }

  #presence(message: FleetMessage, node: string, now: number): void {
    if (isGone(message)) {
      this.#presences.delete(node)
      this.#membership.gone(node, message.seq)
      return
    }
    this.#membership.put(node, message.seq, now)
    const text = message.string()
    if (this.#presences.get(node) === text) return
    const presence = this.#decoded(message, decoders.presence(text))
    if (presence === undefined) return
    this.#presences.set(node, text)
    this.#state.present(node, presence)
  }

  #assignment(message: FleetMessage, node: string, claim: string): void {
    const gone = isGone(message)
    if (claim === "_draining") this.#state.drained(node, !gone)
    else if (claim === "_complete") {
      const complete = gone ? undefined : this.#decoded(message, decoders.complete(message.string()))
      this.#state.declared(node, complete?.inventory)
    } else {
      const assignment = gone ? undefined : this.#decoded(message, decoders.assignment(message.string()))
      this.#state.assigned(message.seq, node, claim, assignment, traceparentOf(message))
    }
  }

  #fromNode(message: FleetMessage, [, token, claim, last]: ReadonlyArray<string>): void {
    const node = nodeOfToken(token!)
    if (claim === "_inventory") {
      const inventory = this.#decoded(message, decoders.inventory(message.string()))
      if (inventory !== undefined) this.#state.inventory(node, inventory, traceparentOf(message))
      return
    }
    const what = whats.find((one) => one === last)
    if (what === undefined || claim === undefined) return
    const report = this.#decoded(message, decoders.report(message.string()))
    if (report !== undefined) this.#state.reported({ ...report, node, claim, what }, traceparentOf(message))
  }

  #decoded<A>(message: FleetMessage, result: Result.Result<A, Schema.SchemaError>): A | undefined {
    if (Result.isSuccess(result)) return result.success
    this.#undecodable(message.subject, result.failure.message)
    return undefined
  }
}

const header = (message: FleetMessage, name: string): string => message.headers?.get(name) ?? ""

/** Deleted, purged, or expired. */
const isGone = (message: FleetMessage): boolean =>
  header(message, "KV-Operation") !== "" || header(message, "Nats-Marker-Reason") !== ""

const traceparentOf = (message: FleetMessage): string | undefined =>
  header(message, "traceparent") || undefined
