import { type Cause, longestWaitMillis, settleOne, type Tries, withCause } from "./work.ts"

export type BatchResult =
  | { readonly _tag: "Settled" }
  /** All of it again, after so many milliseconds; after a fault in smaller batches. */
  | { readonly _tag: "Again"; readonly afterMillis: number; readonly isFault?: boolean }

export interface BatchEntry<K> {
  readonly key: string
  readonly target: K
  readonly causes: ReadonlyArray<Cause>
}

export interface BatchWorkOptions<K> {
  readonly afterMillis: number
  readonly most: number
  readonly run: (entries: ReadonlyArray<BatchEntry<K>>, tries: Tries) => Promise<BatchResult>
}

interface Item<K> {
  readonly key: string
  readonly target: K
  state: "queued" | "running" | "waiting"
  causes: Array<Cause>
  attempt: number
  faults: number
}

/** So many faults are taken for bad luck; from then on each one halves the batch. */
const patience = 2

/** The work of one batch function: one run at a time, for all objects that were woken meanwhile, each once. */
export class BatchWork<K> {
  readonly #options: BatchWorkOptions<K>
  /** Object key → what is to be done for it; objects with nothing to do are absent. */
  readonly #items = new Map<string, Item<K>>()
  #queue: Array<Item<K>> = []
  readonly #waits = new Set<ReturnType<typeof setTimeout>>()
  #gathering: ReturnType<typeof setTimeout> | undefined
  #isRunning = false
  #stopped = false
  #idle: Array<() => void> = []

  constructor(options: BatchWorkOptions<K>) {
    this.#options = options
  }

  get running(): number {
    return this.#isRunning ? 1 : 0
  }

  get size(): number {
    return this.#items.size
  }

  /** Objects that wait for another attempt. */
  get retrying(): number {
    let count = 0
    for (const item of this.#items.values()) if (item.state === "waiting") count++
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
      const made: Item<K> = { key, target, state: "queued", causes: [cause], attempt: 0, faults: 0 }
      this.#items.set(key, made)
      this.#enqueue([made])
      return
    }
    item.causes = withCause(item.causes, cause)
    if (item.state === "waiting") this.#enqueue([item])
  }

  /** Starts nothing new. Resolves when what is running has ended; gives back the causes that were not settled. */
  async stop(): Promise<ReadonlyArray<Cause>> {
    this.#stopped = true
    this.#queue = []
    clearTimeout(this.#gathering)
    for (const wait of this.#waits) clearTimeout(wait)
    if (this.#isRunning) await new Promise<void>((resolve) => this.#idle.push(resolve))
    const left = new Set<Cause>()
    for (const { causes } of this.#items.values()) for (const cause of causes) left.add(cause)
    this.#items.clear()
    return [...left]
  }

  #enqueue(items: ReadonlyArray<Item<K>>): void {
    for (const item of items) {
      item.state = "queued"
      this.#queue.push(item)
    }
    this.#gather()
  }

  #gather(): void {
    if (this.#stopped || this.#isRunning || this.#gathering !== undefined || this.#queue.length === 0) return
    // What came during the last run has been gathered long enough.
    this.#gathering = setTimeout(() => {
      this.#gathering = undefined
      this.#start()
    }, this.#options.afterMillis)
  }

  #start(): void {
    const first = this.#queue[0]
    if (first === undefined || this.#stopped) return
    const halvings = halvingsOf(first)
    const whole = Math.min(this.#options.most, this.#queue.length)
    const size = Math.max(1, Math.floor(whole / 2 ** halvings))
    const items: Array<Item<K>> = []
    const rest: Array<Item<K>> = []
    for (const item of this.#queue) {
      // What has failed again and again keeps to itself.
      if (items.length < size && halvingsOf(item) === halvings) items.push(item)
      else rest.push(item)
    }
    this.#queue = rest
    this.#isRunning = true
    let [attempt, faults] = [0, 0]
    const entries = items.map((item): BatchEntry<K> => {
      const { key, target, causes } = item
      item.causes = []
      item.state = "running"
      attempt = Math.max(attempt, ++item.attempt)
      faults = Math.max(faults, item.faults)
      return { key, target, causes }
    })
    this.#options.run(entries, { attempt, faults }).then(
      (result) => this.#ended(items, entries, result),
      // `run` translates every failure; this is a fault of ours, and the events must not be lost by it.
      () => this.#ended(items, entries, { _tag: "Again", afterMillis: 1_000 })
    )
  }

  #ended(items: ReadonlyArray<Item<K>>, entries: ReadonlyArray<BatchEntry<K>>, result: BatchResult): void {
    this.#isRunning = false
    const again: Array<Item<K>> = []
    const waiting: Array<Item<K>> = []
    for (const [i, item] of items.entries()) {
      const { causes } = entries[i]!
      const cameMeanwhile = item.causes.length > 0
      if (result._tag === "Settled") {
        item.attempt = 0
        item.faults = 0
        for (const cause of causes) settleOne(cause)
        if (cameMeanwhile) again.push(item)
        else this.#items.delete(item.key)
      } else {
        item.causes = item.causes.reduce(withCause, [...causes])
        item.faults = result.isFault === true ? item.faults + 1 : 0
        if (cameMeanwhile) again.push(item)
        else waiting.push(item)
      }
    }
    if (this.#stopped) {
      for (const resolve of this.#idle.splice(0)) resolve()
      return
    }
    if (result._tag === "Again") this.#wait(waiting, result.afterMillis)
    this.#enqueue(again)
  }

  #wait(items: ReadonlyArray<Item<K>>, millis: number): void {
    const attempts = items.map(({ attempt }) => attempt)
    for (const item of items) item.state = "waiting"
    const wait = setTimeout(
      () => {
        this.#waits.delete(wait)
        // One that was woken meanwhile has run since, or is about to.
        this.#enqueue(items.filter((item, i) => item.state === "waiting" && item.attempt === attempts[i]))
      },
      Math.min(millis, longestWaitMillis)
    )
    this.#waits.add(wait)
  }
}

const halvingsOf = <K>(item: Item<K>): number => Math.max(0, item.faults - patience)
