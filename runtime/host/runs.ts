/** So long a run may take. What takes longer keeps a place from others, and is better made of several runs. */
export const longestRunMillis = 600_000

/** Why a run is told to end: it has taken too long, or who runs it ends. */
export class Ending extends Error {
  override readonly name = "Ending"
  readonly isOverdue: boolean
  constructor(isOverdue: boolean, message: string) {
    super(message)
    this.isOverdue = isOverdue
  }
}

/** The runs of one function that have not ended, so that none that never does keeps the rest of its host waiting. */
export class Runs {
  /** In the order of their beginnings, by the monotonic clock. */
  readonly #running = new Map<AbortController, number>()
  readonly #longestMillis: number

  constructor(longestMillis = longestRunMillis) {
    this.#longestMillis = longestMillis
  }

  /** Runs with a signal that tells when to end. */
  async add<A>(run: (signal: AbortSignal) => Promise<A>): Promise<A> {
    const end = new AbortController()
    this.#running.set(end, performance.now())
    try {
      return await run(end.signal)
    } finally {
      this.#running.delete(end)
    }
  }

  /** Ends those that have taken too long. */
  endOverdue(): void {
    const before = performance.now() - this.#longestMillis
    for (const [end, since] of this.#running) {
      if (since > before) break
      const minutes = this.#longestMillis / 60_000
      end.abort(new Ending(true, `had not ended after ${minutes} minutes, and was interrupted`))
    }
  }

  endAll(): void {
    for (const end of this.#running.keys()) end.abort(new Ending(false, "the host ends, or begins anew"))
  }
}
