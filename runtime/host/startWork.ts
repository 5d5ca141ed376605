import { type BatchEntry, type BatchResult, BatchWork } from "./batchWork.ts"
import { lastWoken } from "./held.ts"
import { concludeRun, type EndedRun, type OutcomeOptions } from "./outcomes.ts"
import { longestUnseenMillis, renew } from "./renew.ts"
import { type RunServices, runOnce, type Target } from "./run.ts"
import { runBatch } from "./runBatch.ts"
import { Runs } from "./runs.ts"
import { Work } from "./work.ts"

export interface StartWorkOptions extends OutcomeOptions {
  readonly services: RunServices
  readonly concurrency: number
  readonly runs?: Runs
}

/** The work of a function: one object at a time, or many at once if it takes batches. */
export const startWork = (options: StartWorkOptions): Work<Target> | BatchWork<Target> => {
  const { concurrency, fn, services, runs = new Runs() } = options
  const conclude = async (
    entries: ReadonlyArray<Pick<BatchEntry<Target>, "target" | "causes">>,
    run: EndedRun
  ): Promise<BatchResult> => {
    const result = await concludeRun(options, run)
    if (result._tag === "Settled") return result
    await renew(fn, entries, services)
    return { ...result, afterMillis: Math.min(result.afterMillis, longestUnseenMillis) }
  }
  if (fn.batch !== undefined) {
    return new BatchWork<Target>({
      ...fn.batch,
      run: async (entries, { attempt, faults }) => {
        const items = entries.map(({ target, causes }) => ({ target, woken: lastWoken(causes) }))
        const started = performance.now()
        // Whose fault it is shows when it is alone, which ever smaller batches come to: others are not parked with it.
        const tries = { attempt, faults: items.length > 1 ? 0 : faults }
        const ended = await runs.add((signal) => runBatch(fn, items, tries, services, signal))
        let first = Number.POSITIVE_INFINITY
        for (const { woken } of items) first = Math.min(first, woken?.at || first)
        return await conclude(entries, {
          targets: items.map(({ target }) => target),
          ended,
          attempt,
          tookMillis: performance.now() - started,
          wokenAt: Number.isFinite(first) ? first : 0
        })
      }
    })
  }
  return new Work<Target>({
    concurrency,
    debounceMillis: fn.debounceMillis,
    run: async (_key, target, causes, tries) => {
      const woken = lastWoken(causes)
      const started = performance.now()
      const ended = await runs.add((signal) => runOnce(fn, target, tries, woken, services, signal))
      const tookMillis = performance.now() - started
      const { attempt } = tries
      const run = { targets: [target], ended, attempt, tookMillis, wokenAt: woken?.at ?? 0 }
      return await conclude([{ target, causes }], run)
    }
  })
}
