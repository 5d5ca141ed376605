import type { JetStreamClient } from "@nats-io/jetstream"
import { headers } from "@nats-io/transport-node"
import type { FunctionDefinition } from "../Function.ts"
import { activeSubject, tickSubject } from "../nats/names.ts"

/** How often the active host of a function that follows the fleet is told that it is. */
export const activeMillis = 2_000

export interface PulsesOptions {
  readonly functions: ReadonlyArray<FunctionDefinition<any>>
  readonly js: JetStreamClient
  readonly say: (news: {
    readonly _tag: "Trouble"
    readonly function: string
    readonly message: string
  }) => void
}

export const followsFleet = (fn: FunctionDefinition<any>): boolean =>
  fn.on.some(({ source }) => source._tag === "Fleet")

/**
 * Publishes what recurs, at the beginning of every interval: the ticks of timers, and the word that tells a host that
 * it is the active one. Every host does so, at the same moment and under an id made of the function and the interval's
 * number: the server stores the first, and the function's pinned host is given it.
 */
export const startPulses = ({ functions, js, say }: PulsesOptions): (() => void) => {
  const timers = new Map<string, ReturnType<typeof setTimeout>>()
  const start = (key: string, everyMillis: number, publish: (slot: number) => void): void => {
    const schedule = (after: number): void => {
      // A timer may be early by a millisecond, and late by any time: no interval is named twice. But a clock that was set
      // back is believed.
      const now = Math.floor(Date.now() / everyMillis)
      const slot = (after - now > 1 ? now : Math.max(after, now)) + 1
      const wait = slot * everyMillis - Date.now()
      timers.set(
        key,
        setTimeout(() => {
          publish(slot)
          schedule(slot)
        }, wait)
      )
    }
    schedule(0)
  }
  for (const fn of functions) {
    for (const { source } of fn.on) {
      if (source._tag !== "Timer") continue
      const { everyMillis } = source
      start(`${fn.name} ${everyMillis}`, everyMillis, (slot) => {
        const h = headers()
        h.set("extip-at", String(slot * everyMillis))
        js.publish(tickSubject(fn.name), "", { msgID: `${fn.name}.${slot}`, headers: h }).catch(
          (cause: unknown) => say({ _tag: "Trouble", function: fn.name, message: `tick: ${String(cause)}` })
        )
      })
    }
    if (followsFleet(fn)) {
      // While NATS is away nobody is the active one.
      start(`${fn.name} active`, activeMillis, (slot) => {
        publishActive(js, fn.name, `${fn.name}.active.${slot}`).catch(() => undefined)
      })
    }
  }
  return () => {
    for (const timer of timers.values()) clearTimeout(timer)
  }
}

/** Whoever is given this is the active host. It is of no interest a minute later. */
export const publishActive = async (
  js: JetStreamClient,
  functionName: string,
  id?: string
): Promise<void> => {
  await js.publish(activeSubject(functionName), "", {
    ttl: "60s",
    ...(id === undefined ? {} : { msgID: id })
  })
}
