import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Namespace, Namespaces } from "../../../infra/local/namespaces.ts"
import { spawnTied } from "../../../infra/local/process.ts"

/** A program of the laboratory's own: for each question that it can be asked, what goes there and what comes back. */
export type Questions = Readonly<Record<string, readonly [question: unknown, answer: unknown]>>

/** Instead of a question's number: it has started. */
const started = 0

type Said = { readonly id: number; readonly value?: unknown; readonly failed?: string }

/** One that runs in a namespace, and is asked by messages. */
export class Remote<Q extends Questions> {
  readonly #child: ChildProcess
  readonly #name: string
  readonly #waiting = new Map<number, PromiseWithResolvers<unknown>>()
  readonly #ready = Promise.withResolvers<void>()
  #asked = 0
  #log = ""

  constructor(namespaces: Namespaces, inside: Namespace, name: string, args: ReadonlyArray<string> = []) {
    const file = fileURLToPath(new URL(`${name}.program.ts`, import.meta.url))
    const [path, ...all] = inside.inside(process.execPath, [file, ...args])
    this.#name = name
    this.#child = spawnTied({ name, path, args: all, ledger: namespaces.ledger, ipc: true }, "pipe")
    for (const pipe of [this.#child.stdout!, this.#child.stderr!]) {
      pipe.on("data", (data) => {
        this.#log += String(data)
      })
    }
    this.#child.on("message", ({ id, value, failed }: Said) => {
      if (id === started) this.#ready.resolve()
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (failed === undefined) waiting?.resolve(value)
      else waiting?.reject(new Error(`${name}: ${failed}`))
    })
    this.#child.once("close", () => {
      for (const one of this.#waiting.values()) one.reject(new Error(`${name} has ended: ${this.#log}`))
      this.#waiting.clear()
      this.#ready.reject(new Error(`${name} has ended: ${this.#log}`))
    })
    this.#child.on("error", () => undefined)
    this.#ready.promise.catch(() => undefined)
  }

  get pid(): number {
    return this.#child.pid!
  }

  async ask<K extends keyof Q & string>(what: K, question: Q[K][0]): Promise<Q[K][1]> {
    if (!this.#child.connected) throw new Error(`${this.#name} has ended: ${this.#log}`)
    const id = ++this.#asked
    const waiting = Promise.withResolvers<unknown>()
    this.#waiting.set(id, waiting)
    this.#child.send({ id, what, question }, () => undefined)
    return await waiting.promise
  }

  /** Resolves when it has started, and can be asked. */
  async ready(): Promise<void> {
    await this.#ready.promise
  }

  end(): void {
    this.#child.kill("SIGKILL")
  }
}

/** The other end: answers until whoever asks has gone. */
export const answering = <Q extends Questions>(
  answers: {
    readonly [K in keyof Q]: (question: Q[K][0]) => Q[K][1] | Promise<Q[K][1]>
  }
): void => {
  process.on("message", async (said: { id: number; what: string; question: unknown }) => {
    try {
      process.send!({ id: said.id, value: await answers[said.what]!(said.question) })
    } catch (cause) {
      process.send!({
        id: said.id,
        failed: cause instanceof Error ? (cause.stack ?? cause.message) : String(cause)
      })
    }
  })
  process.on("disconnect", () => process.exit(0))
  process.send!({ id: started })
}

/** CLOCK_MONOTONIC in milliseconds: the same in every process of this machine. */
export const nowMillis = (): number => Number(process.hrtime.bigint()) / 1e6
