import * as Effect from "effect/Effect"
import type { FleetEvent, FleetLink, Place } from "../../runtime/Fleet.ts"
import {
  type InventoryMessage,
  inventorySubject,
  type Presence,
  presenceSubject,
  reportSubject
} from "../../runtime/fleet/messages.ts"
import { natsPlacing } from "../../runtime/fleet/place.ts"
import type { FleetAccess } from "../../runtime/fleet/plan.ts"
import { type FleetNews, FleetReader } from "../../runtime/fleet/reader.ts"
import type { Nats } from "../../runtime/nats/connection.ts"
import { newSpan, traceparentOf } from "../../runtime/trace/context.ts"
import { until } from "./until.ts"

type Connection = (typeof Nats)["Service"]

const link: FleetLink = {
  name: "eth0",
  mac: "02:00:00:00:00:01",
  subnets: ["10.0.0.1/8"],
  carrier: true,
  defaultRoutes: [4],
  chosen: false
}

/** Nodes that do nothing but say that they are there, as `extip node` does: each second, for five. */
export class TalkingNodes {
  readonly #nats: Connection
  readonly #alive = new Set<string>()
  readonly #timer: ReturnType<typeof setInterval>

  constructor(nats: Connection) {
    this.#nats = nats
    this.#timer = setInterval(() => {
      for (const node of this.#alive) void this.#put(node)
    }, 1_000)
  }

  async join(...names: ReadonlyArray<string>): Promise<void> {
    for (const name of names) {
      this.#alive.add(name)
      await this.#put(name)
    }
  }

  /** It says nothing any more. */
  die(name: string): void {
    this.#alive.delete(name)
  }

  async inventory(node: string, message: InventoryMessage): Promise<void> {
    await this.#nats.js.publish(inventorySubject(node), JSON.stringify(message))
  }

  async report(node: string, claim: string, what: "bound" | "taken", term: number): Promise<void> {
    const report = { address: "10.0.0.1", link: "eth0", mac: link.mac, term, at: Date.now() }
    await this.#nats.js.publish(reportSubject(node, claim, what), JSON.stringify(report))
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #put(node: string): Promise<void> {
    const presence: Presence = { links: [link], version: "test", session: "1" }
    await this.#nats.js
      .publish(presenceSubject(node), JSON.stringify(presence), { ttl: "5s" })
      .catch(() => undefined)
  }
}

/** A process that follows the fleet and places claims. */
export interface Follower {
  readonly access: FleetAccess
  readonly events: Array<FleetEvent>
  readonly news: Array<FleetNews>
  /** How often it has read everything. */
  readonly reads: () => number
  /** Places claims; answers with why it did not. */
  readonly place: (...places: ReadonlyArray<Place>) => Promise<string | undefined>
  readonly stop: () => Promise<void>
}

export const follow = async (nats: Connection, abandonMillis = 2_000): Promise<Follower> => {
  const news: Array<FleetNews> = []
  const events: Array<FleetEvent> = []
  const reader = new FleetReader({ ...nats, abandonMillis, say: (one) => news.push(one) })
  reader.state.listen((event) => events.push(event))
  const controller = new AbortController()
  const running = reader.run(controller.signal)
  const access = natsPlacing({ ...nats, reader })
  const reads = () => news.filter(({ _tag }) => _tag === "FleetRead").length
  await until("the fleet to be read", () => reads() > 0, { last: () => news.slice(-3) })
  return {
    access,
    events,
    news,
    reads,
    place: async (...places) => {
      const trace = traceparentOf(newSpan())
      return await Effect.runPromise(
        access
          .place(places, () => trace)
          .pipe(Effect.match({ onSuccess: () => undefined, onFailure: ({ message }) => message }))
      )
    },
    stop: async () => {
      controller.abort()
      await running
    }
  }
}

/** `claim-0`, `claim-1`, …, held by one node, with another that stands by. */
export const placesOf = (count: number, holder: string | undefined, standby?: string): ReadonlyArray<Place> =>
  Array.from({ length: count }, (_, i) => ({
    claim: `claim-${i}`,
    address: "10.0.0.1",
    holder,
    standby,
    link: undefined
  }))
