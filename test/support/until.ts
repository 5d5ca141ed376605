import { setTimeout as sleep } from "node:timers/promises"

const pollMillis = 20

/** What a look that is not there yet may answer. */
type NotYet = undefined | null | false

const shown = (value: unknown): string => {
  const text = value instanceof Error ? value.message : JSON.stringify(value)
  return text === undefined ? "nothing" : text.slice(0, 2_000)
}

/**
 * Looks until there is something to see, and answers with it; fails after the deadline with a sentence that says what
 * it waited for. `last` tells what was there instead.
 */
export const until = async <A>(
  what: string,
  look: () => Promise<A | NotYet> | A | NotYet,
  options: { readonly seconds?: number; readonly last?: () => unknown } = {}
): Promise<A> => {
  const seconds = options.seconds ?? 15
  const deadline = performance.now() + seconds * 1000
  let failure: unknown
  for (;;) {
    try {
      const seen = await look()
      if (seen !== undefined && seen !== null && seen !== false) return seen
      failure = undefined
    } catch (cause) {
      failure = cause
    }
    if (performance.now() > deadline) {
      const instead = failure ?? (await options.last?.())
      throw new Error(
        `waited ${seconds} s for ${what}${instead === undefined ? "" : `; last seen: ${shown(instead)}`}`
      )
    }
    await sleep(pollMillis)
  }
}

/** Looks for so long, and fails as soon as it is not so. For what must not happen, where nothing tells that it will not. */
export const stays = async (
  what: string,
  holds: () => Promise<boolean> | boolean,
  millis: number
): Promise<void> => {
  const end = performance.now() + millis
  while (performance.now() < end) {
    if (!(await holds())) throw new Error(`was to stay so, and did not: ${what}`)
    await sleep(pollMillis)
  }
}
