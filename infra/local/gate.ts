import type { ChildProcess } from "node:child_process"
import { fileURLToPath } from "node:url"
import { type Cables, gateway } from "./cables.ts"
import { LocalFailure } from "./failure.ts"
import type { FromOutside, ToOutside } from "./gate/messages.ts"
import { spawnTied } from "./process.ts"

const file = (name: string) => fileURLToPath(new URL(`gate/${name}.ts`, import.meta.url))

/**
 * TCP between the namespaces and the rest of this machine, without any link between them, so also without root: two
 * processes, one on each side, that hand their listening sockets to each other.
 */
export class Gate {
  readonly #child: ChildProcess
  readonly #waiting = new Map<number, (answer: FromOutside) => void>()
  #asked = 0
  #said = ""

  constructor(cables: Cables) {
    const inside = cables.switch.inside(process.execPath, [file("inside")])
    const args = [file("outside"), gateway, ...inside]
    const { ledger } = cables.namespaces
    this.#child = spawnTied({ name: "gate", path: process.execPath, args, ledger, ipc: true }, "pipe")
    this.#child.stderr!.on("data", (data) => {
      this.#said += String(data)
    })
    this.#child.on("message", (answer: FromOutside) => {
      this.#waiting.get(answer.id)?.(answer)
      this.#waiting.delete(answer.id)
    })
    this.#child.once("exit", () => {
      for (const [id, tell] of this.#waiting) tell({ tag: "failed", id, reason: `ended: ${this.#said}` })
    })
    this.#child.on("error", () => undefined)
    this.#child.unref()
    this.#child.channel?.unref()
    for (const pipe of [this.#child.stdout, this.#child.stderr])
      (pipe as unknown as { unref(): void }).unref()
    for (const { name, namespace } of cables.hosts()) this.moved(name, namespace.pid)
  }

  /** From now on hosts that connect to `10.78.0.1:port` reach this port of this machine. */
  async letOut(port: number, to: { readonly host: string; readonly port: number }): Promise<void> {
    await this.#ask((id) => ({ tag: "let out", id, port, to }))
  }

  /** A port of this machine's 127.0.0.1 behind which is that port of the host's own 127.0.0.1. */
  async letIn(host: string, port: number): Promise<number> {
    return await this.#ask((id) => ({ tag: "let in", id, host, port }))
  }

  /** The host has booted anew: its namespace is the one of this process. */
  moved(host: string, pid: number): void {
    this.#send({ tag: "host", host, path: `/proc/${pid}/ns/net` })
  }

  close(): void {
    this.#child.kill("SIGKILL")
  }

  #send(message: ToOutside): void {
    this.#child.send(message, () => undefined)
  }

  async #ask(question: (id: number) => ToOutside): Promise<number> {
    const id = ++this.#asked
    // Held while we wait: else nothing would keep us from ending before the answer.
    this.#child.channel?.ref()
    const answer = await new Promise<FromOutside>((resolve) => {
      this.#waiting.set(id, resolve)
      this.#send(question(id))
    })
    if (this.#waiting.size === 0) this.#child.channel?.unref()
    if (answer.tag === "done") return answer.port
    throw new LocalFailure({ what: "the gate to the namespaces", detail: answer.reason })
  }
}
