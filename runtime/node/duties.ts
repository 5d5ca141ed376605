import type { JsMsg } from "@nats-io/jetstream"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { Assignment } from "../Assignment.ts"
import type { FunctionDefinition } from "../Function.ts"
import type { Assignment as Spec } from "../fleet/messages.ts"
import type { Woken } from "../host/run.ts"
import { describeTarget, type Ended, type RunServices, runOnce, type Target, targetKey } from "../host/run.ts"
import { type Cause, type RunResult, type Tries, Work } from "../host/work.ts"
import { WorldView } from "../host/worldView.ts"
import type { KubeApi } from "../kube/api.ts"
import { parseTraceparent } from "../trace/context.ts"
import type { SpanRecord } from "../trace/span.ts"

/** As many as a node may be given at once: runs wait for the network, and those that wait together ask together. */
const concurrency = 10_000
/** Some 10 ms. */
const runsPerTurn = 50

export interface DutiesOptions {
  readonly functions: ReadonlyArray<FunctionDefinition<any>>
  readonly node: string
  /** The services of handlers: `Wire`. */
  readonly context: Context.Context<never>
  readonly record: (span: SpanRecord) => void
  readonly ended: (functionName: string, object: string, ended: Ended) => void
}

interface Woke extends Cause {
  readonly woken: Woken | undefined
}

/** Runs the functions of a node: each for one claim at a time, in its present state, and again as it asks for. */
export class Duties {
  readonly #options: DutiesOptions
  readonly #view = new WorldView([Assignment])
  readonly #works: ReadonlyArray<Work<Target>>
  #version = 0

  constructor(options: DutiesOptions) {
    this.#options = options
    const services: RunServices = {
      api: noKubernetes,
      view: this.#view,
      note: () => undefined,
      wake: async () => undefined,
      record: options.record,
      caused: () => undefined,
      causeOf: () => undefined,
      host: options.node,
      context: options.context
    }
    this.#works = options.functions.map(
      (fn) =>
        new Work<Target>({
          concurrency,
          debounceMillis: fn.debounceMillis,
          run: (_key, target, causes, tries) =>
            this.#run(fn, target, causes as ReadonlyArray<Woke>, tries, services)
        })
    )
  }

  /** The claim's assignment is this one now; `undefined` for none. */
  set(claim: string, spec: Spec | undefined, message: JsMsg | undefined): void {
    const ref = { namespace: "", name: claim }
    const before = this.#view.find(Assignment, ref)
    if (before !== undefined) this.#view.applyGone(Assignment, ref, before.metadata.uid)
    const version = String(++this.#version)
    const uid = `${claim}.${version}`
    if (spec !== undefined) {
      const metadata = {
        name: claim,
        uid,
        resourceVersion: version,
        creationTimestamp: new Date().toISOString()
      }
      this.#view.applyWrite(Assignment, { metadata, spec } as never)
    }
    this.wake(claim, message)
  }

  wake(claim: string, message?: JsMsg): void {
    const target: Target = {
      _tag: "Object",
      kind: Assignment,
      ref: { namespace: "", name: claim },
      gives: "key"
    }
    const parent = parseTraceparent(message?.headers?.get("traceparent") ?? "")
    const woken =
      message === undefined
        ? undefined
        : {
            sequence: message.seq,
            at: message.time.getTime(),
            uid: claim,
            resourceVersion: String(message.seq),
            ...(parent === undefined ? {} : { parent })
          }
    for (const work of this.#works) {
      const cause: Woke = {
        sequence: message?.seq ?? 0,
        outstanding: 1,
        settle: () => undefined,
        isFree: message === undefined,
        woken
      }
      work.wake(targetKey(target), target, cause)
    }
  }

  /** Thousands that are woken in one moment start over some turns of the event loop: the wire is listened to meanwhile. */
  #turn(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve)
      if (this.#waiting.length === 1) setImmediate(() => this.#admit())
    })
  }
  #waiting: Array<() => void> = []

  #admit(): void {
    const admitted = this.#waiting.slice(0, runsPerTurn)
    this.#waiting = this.#waiting.slice(runsPerTurn)
    if (this.#waiting.length > 0) setImmediate(() => this.#admit())
    for (const start of admitted) start()
  }

  async stop(): Promise<void> {
    await Promise.all(this.#works.map((work) => work.stop()))
  }

  async #run(
    fn: FunctionDefinition<any>,
    target: Target,
    causes: ReadonlyArray<Woke>,
    tries: Tries,
    services: RunServices
  ): Promise<RunResult> {
    await this.#turn()
    const woken = causes.findLast((cause) => cause.woken !== undefined)?.woken
    const ended = await runOnce(fn, target, tries, woken, services)
    this.#options.ended(fn.name, describeTarget(target), ended)
    if (ended._tag === "Again") return ended
    // A node keeps no list of what it gave up on: an address that is assigned to it is its duty, however long it takes.
    return ended._tag === "Park" ? { _tag: "Again", afterMillis: 30_000, isFault: true } : { _tag: "Settled" }
  }
}

const refuse = () => Effect.die(new Error("a node has no credentials for Kubernetes"))
const noKubernetes: KubeApi = new Proxy({} as KubeApi, { get: () => refuse })
