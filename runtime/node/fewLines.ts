/** So many lines of what is done in one moment are told one by one. */
const shown = 10
const momentMillis = 200

/**
 * Tells what happens, unless it is thousands of things in one moment: writing that many lines would keep the node from
 * what it is about.
 */
export class FewLines<A> {
  readonly #tell: (one: A) => void
  readonly #more: (count: number) => void
  #count = 0
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(tell: (one: A) => void, more: (count: number) => void) {
    this.#tell = tell
    this.#more = more
  }

  add(one: A): void {
    this.#timer ??= setTimeout(() => this.flush(), momentMillis)
    if (++this.#count <= shown) this.#tell(one)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#count > shown) this.#more(this.#count - shown)
    this.#count = 0
  }
}
