/** Publishes in flight per resource: enough to keep the client busy, few enough to keep memory bounded. */
const windowSize = 256

/** A set of running publishes, of bounded size; its first failure is everybody's. */
export class InFlight {
  #running = 0
  #failure: { readonly cause: unknown } | undefined
  #wake: (() => void) | undefined

  async add(run: Promise<void>): Promise<void> {
    this.#running++
    run.then(
      () => this.#settle(),
      (cause) => {
        this.#failure ??= { cause }
        this.#settle()
      }
    )
    while (this.#running >= windowSize && this.#failure === undefined) await this.#next()
    if (this.#failure !== undefined) throw this.#failure.cause
  }

  async drained(): Promise<void> {
    while (this.#running > 0) await this.#next()
    if (this.#failure !== undefined) throw this.#failure.cause
  }

  #next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  #settle(): void {
    this.#running--
    this.#wake?.()
  }
}
