/**
 * The work of one function: one run of an object at a time, different objects side by side, in the order in which
 * they were woken. It knows nothing of NATS or Kubernetes, and its clock is given.
 */

/** A timer of more than 31 bits would be over at once. Who waits longer runs once in between, which is harmless. */
export const longestWaitMillis = 2 ** 31 - 1

/** A reason to run: an event, or a wake-up of ours. `settle` is called once, when all that it caused is done. */
export interface Cause {
  /** Of the event in the log; 0 for wake-ups of ours. */
  readonly sequence: number
  outstanding: number
  readonly settle: () => void
  /** Nobody waits for its end: there is nothing to acknowledge. */
  readonly isFree?: boolean
}

/** One object that a cause has woken is done with. */
export const settleOne = (cause: Cause): void => {
  if (--cause.outstanding === 0) cause.settle()
}

/**
 * Adds a cause to those that an object waits to run for. One run answers all of them, in the state that there is then: an
 * event that is kept until that run is done stands for those before it, which are acknowledged. So an object that
 * changes for ever and never succeeds keeps one event, not all of them.
 */
export const withCause = (causes: Array<Cause>, cause: Cause): Array<Cause> => {
  if (cause.sequence > 0) {
    for (const before of causes) settleOne(before)
    return [cause]
  }
  if (cause.isFree === true) return [...causes.filter(({ isFree }) => isFree !== true), cause]
  causes.push(cause)
  return causes
}

export type RunResult =
  | { readonly _tag: "Settled" }
  /** Again, after so many milliseconds. */
  | { readonly _tag: "Again"; readonly afterMillis: number; readonly isFault?: boolean }

/** What has come of an object's runs so far, since one succeeded. */
export interface Tries {
  /** Which run this is; 1 is the first. */
  readonly attempt: number
  /** So many runs right before this one ended by a fault of the function's own. */
  readonly faults: number
}

export interface WorkOptions<K> {
  readonly concurrency: number
  /** At most one run per key in so many milliseconds. */
  readonly debounceMillis: number
  readonly run: (key: string, target: K, causes: ReadonlyArray<Cause>, tries: Tries) => Promise<RunResult>
}

interface Item<K> {
  readonly key: string
  readonly target: K
  state: "queued" | "running" | "waiting"
  causes: Array<Cause>
  attempt: number
  faults: number
  timer: ReturnType<typeof setTimeout> | undefined
  startedAt: number
}

export class Work<K> {
  readonly #options: WorkOptions<K>
  /** Object key → what is to be done for it; objects with nothing to do are absent. */
  readonly #items = new Map<string, Item<K>>()
  #queue: Array<Item<K>> = []
  #head = 0
  #running = 0
  #stopped = false
  #idle: Array<() => void> = []

  constructor(options: WorkOptions<K>) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  get size(): number {
    return this.#items.size
  }

  /** Objects that wait for another attempt. */
  get retrying(): number {
    let count = 0
    for (const item of this.#items.values()) if (item.state === "waiting" && item.attempt > 0) count++
    return count
  }

  has(key: string): boolean {
    return this.#items.has(key)
  }

  /** Wakes one object. What is waiting for another attempt runs at once: its state is a new one. */
  wake(key: string, target: K, cause: Cause): void {
    if (this.#stopped) return
    const item = this.#items.get(key)
    if (item === undefined) {
      const made: Item<K> = {
        key,
        target,
        state: "queued",
        causes: [cause],
        attempt: 0,
        faults: 0,
        timer: undefined,
        startedAt: Number.NEGATIVE_INFINITY
      }
      this.#items.set(key, made)
      this.#enqueue(made)
      return
    }
    item.causes = withCause(item.causes, cause)
    if (item.state === "waiting" && item.attempt > 0) this.#enqueue(item)
  }

  /** Starts nothing new. Resolves when what is running has ended; gives back the causes that were not settled. */
  async stop(): Promise<ReadonlyArray<Cause>> {
    this.#stopped = true
    this.#queue = []
    this.#head = 0
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve))
    const left = new Set<Cause>()
    for (const item of this.#items.values()) {
      clearTimeout(item.timer)
      for (const cause of item.causes) left.add(cause)
    }
    this.#items.clear()
    return [...left]
  }

  #enqueue(item: Item<K>): void {
    clearTimeout(item.timer)
    item.timer = undefined
    item.state = "queued"
    this.#queue.push(item)
    this.#pump()
  }

  #pump(): void {
    while (!this.#stopped && this.#running < this.#options.concurrency && this.#head < this.#queue.length) {
      const item = this.#queue[this.#head]!
      this.#head++
      if (this.#head > 1_024 && this.#head * 2 > this.#queue.length) {
        this.#queue = this.#queue.slice(this.#head)
        this.#head = 0
      }
      this.#start(item)
    }
  }

  #start(item: Item<K>): void {
    const causes = item.causes
    item.causes = []
    item.state = "running"
    item.attempt++
    item.startedAt = performance.now()
    this.#running++
    const { key, target, attempt, faults } = item
    this.#options.run(key, target, causes, { attempt, faults }).then(
      (result) => this.#ended(item, causes, result),
      // `run` translates every failure; this is a fault of ours, and the events must not be lost by it.
      () => this.#ended(item, causes, { _tag: "Again", afterMillis: 1_000 })
    )
  }

  #ended(item: Item<K>, causes: ReadonlyArray<Cause>, result: RunResult): void {
    this.#running--
    if (result._tag === "Settled") {
      item.attempt = 0
      item.faults = 0
      for (const cause of causes) settleOne(cause)
      const quietFor = this.#options.debounceMillis - (performance.now() - item.startedAt)
      if (this.#options.debounceMillis > 0 && quietFor > 0) this.#waitFor(item, quietFor)
      else if (item.causes.length > 0) this.#enqueue(item)
      else this.#items.delete(item.key)
    } else {
      item.faults = result.isFault === true ? item.faults + 1 : 0
      const cameMeanwhile = item.causes.length > 0
      item.causes = item.causes.reduce(withCause, [...causes])
      if (cameMeanwhile && !this.#stopped) this.#enqueue(item)
      else this.#waitFor(item, result.afterMillis)
    }
    if (this.#stopped && this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve()
    this.#pump()
  }

  #waitFor(item: Item<K>, millis: number): void {
    item.state = "waiting"
    if (this.#stopped) return
    item.timer = setTimeout(
      () => {
        if (item.causes.length > 0) this.#enqueue(item)
        else this.#items.delete(item.key)
      },
      Math.min(millis, longestWaitMillis)
    )
  }
}
