import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Assignment, isSound, PeerLinks, soundLinks } from "../fleet/messages.ts"

/** What a restarted runtime goes on with while NATS is away. */
const Remembered = Schema.Struct({
  assignments: Schema.Array(Assignment),
  /** What it held, with what right. */
  held: Schema.Array(
    Schema.Struct({
      claim: Schema.String,
      address: Schema.String,
      term: Assignment.fields.term,
      taken: Schema.Boolean
    })
  ),
  /** The links of all nodes: answers from their MACs are no conflict. */
  nodes: Schema.Record(Schema.String, PeerLinks)
})
export type Remembered = typeof Remembered.Type

const saveMillis = 500

/** The file that keeps what a node knows over a restart of its runtime. On a memory file system: it ends with the host. */
export class SliceFile {
  readonly #path: string
  readonly #trouble: (message: string) => void
  #timer: ReturnType<typeof setTimeout> | undefined
  #collect: (() => Remembered) | undefined

  constructor(path: string, trouble: (message: string) => void) {
    this.#path = path
    this.#trouble = trouble
  }

  read(): Remembered | undefined {
    let text: string
    try {
      text = readFileSync(this.#path, "utf8")
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") this.#trouble(`${this.#path}: ${String(cause)}`)
      return undefined
    }
    const read = Schema.decodeResult(Schema.fromJsonString(Remembered))(text)
    if (Result.isSuccess(read)) {
      const { assignments, held, nodes } = read.success
      const links = Object.entries(nodes).map(([node, of]) => [node, soundLinks(of)] as const)
      return {
        assignments: assignments.filter(isSound),
        held: held.filter(isSound),
        nodes: Object.fromEntries(links)
      }
    }
    this.#trouble(
      `${this.#path} is not what this version writes; NATS will tell all of it: ${read.failure.message}`
    )
    return undefined
  }

  /** Writes soon: many changes are one write. */
  save(collect: () => Remembered): void {
    this.#collect = collect
    this.#timer ??= setTimeout(() => this.flush(), saveMillis)
  }

  flush(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    const collect = this.#collect
    this.#collect = undefined
    if (collect === undefined) return
    try {
      mkdirSync(dirname(this.#path), { recursive: true })
      // Whole or not at all: this process may be killed at any line.
      writeFileSync(`${this.#path}.new`, JSON.stringify(collect()), { mode: 0o600 })
      renameSync(`${this.#path}.new`, this.#path)
    } catch (cause) {
      this.#trouble(`${this.#path}: ${String(cause)}`)
    }
  }
}
