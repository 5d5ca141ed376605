import * as Effect from "effect/Effect"
import type { KubeFailure } from "#runtime"
import type { KubeApi } from "../../runtime/kube/api.ts"

type Verb = "get" | "create" | "mergePatch" | "apply" | "remove"
const verbs: ReadonlyArray<Verb> = ["get", "create", "mergePatch", "apply", "remove"]

/** Puts something around every call; `around` is given the call's name (`create IpClaim`). */
const wrapped =
  (around: <A>(name: string, send: Effect.Effect<A, KubeFailure>) => Effect.Effect<A, KubeFailure>) =>
  (api: KubeApi): KubeApi =>
    Object.fromEntries(
      verbs.map((verb) => [
        verb,
        (...args: ReadonlyArray<any>) =>
          around(`${verb} ${args[0].kind}`, (api[verb] as (...all: any) => any).apply(api, args as never))
      ])
    ) as unknown as KubeApi

/** A process that dies right after its n-th write has reached the API server. Nothing comes of what it does then. */
export const killedAfter = (writes: number) => {
  let left = writes
  return wrapped((name, send) => {
    const isWrite = !name.startsWith("get")
    return Effect.suspend(() => {
      if (left === 0) return Effect.die(new Error("this process is dead"))
      if (isWrite) left--
      return send
    })
  })
}

/** Fails every call of this name (`create IpClaim`) in this way, until the array is empty. */
export const failing = (name: string, failures: Array<KubeFailure>) =>
  wrapped((call, send) =>
    Effect.suspend(() => {
      const failure = call === name ? failures.shift() : undefined
      return failure === undefined ? send : Effect.fail(failure)
    })
  )

/** Runs something before the n-th call of this name: what somebody else does at the worst moment. */
export const upon = (name: string, what: () => Promise<unknown>, nth = 1) => {
  let calls = 0
  return wrapped((call, send) =>
    Effect.suspend(() => {
      if (call !== name || ++calls !== nth) return send
      return Effect.andThen(Effect.promise(what), send)
    })
  )
}

/** Counts what reaches the API server, by name (`mergePatch Service`). */
export const counting = (counts: Map<string, number>) =>
  wrapped((name, send) =>
    Effect.suspend(() => {
      counts.set(name, (counts.get(name) ?? 0) + 1)
      return send
    })
  )

/** Holds every call until its turn: the test decides who goes on, one call at a time. */
export class Turns {
  readonly #waiting: Array<() => void> = []

  readonly through = wrapped((_name, send) => Effect.andThen(Effect.promise(this.turn), send))

  /** Resolves when it is this caller's turn. */
  readonly turn = (): Promise<void> => new Promise((resolve) => this.#waiting.push(resolve))

  /** Lets calls through, in the order that `choices` says, until all of this is done. */
  async play(work: ReadonlyArray<Promise<unknown>>, choices: ReadonlyArray<number>): Promise<void> {
    let over = false
    const all = Promise.all(work).finally(() => {
      over = true
    })
    for (let step = 0; !over; step++) {
      // Whoever was let through comes to his next call.
      for (let pause = 0; pause < 4; pause++) await new Promise((resolve) => setImmediate(resolve))
      const choice = choices.length === 0 ? 0 : choices[step % choices.length]!
      this.#waiting.splice(choice % Math.max(1, this.#waiting.length), 1)[0]?.()
    }
    await all
  }
}
