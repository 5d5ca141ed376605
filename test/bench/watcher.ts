import { Service } from "../../functions/domain/kinds.ts"
import { defaultSourceTimes, watch } from "../../runtime/bridge/source.ts"
import type { Rig } from "./rig.ts"
import { listAll } from "./rig.ts"

/** Sees, by a watch of its own on the API server, when a Service shows an address. */
export class Watcher {
  /** `namespace/name` → when it was first seen with an address, in milliseconds of `performance.now()` */
  readonly published = new Map<string, number>()
  /** Namespace → how many of its Services show one; looked at after every event. */
  readonly #counts = new Map<string, number>()
  readonly #stop = new AbortController()
  #waiters: Array<{ readonly holds: () => boolean; readonly resolve: () => void }> = []

  /** Begins to watch; what shows an address already counts as seen now. */
  static async start(rig: Rig): Promise<Watcher> {
    const watcher = new Watcher()
    const now = performance.now()
    let version = "0"
    for (const object of await listAll(rig, Service)) {
      watcher.#take(object as never, now)
      if (Number(object.metadata.resourceVersion) > Number(version)) version = object.metadata.resourceVersion
    }
    const times = { ...defaultSourceTimes, watchSeconds: 3_600 }
    void (async () => {
      // The API server ends the watch of whoever reads too slowly; it goes on where it was.
      while (!watcher.#stop.signal.aborted) {
        for await (const event of watch(rig.cluster, Service, version, times, watcher.#stop.signal)) {
          version = event.object.metadata.resourceVersion
          if (event.type === "BOOKMARK") continue
          watcher.#take(event.object as never, performance.now())
          const due = watcher.#waiters.filter(({ holds }) => holds())
          if (due.length === 0) continue
          watcher.#waiters = watcher.#waiters.filter((waiter) => !due.includes(waiter))
          for (const { resolve } of due) resolve()
        }
      }
    })().catch((cause: unknown) => {
      if (!watcher.#stop.signal.aborted) console.error("the bench's own watch ended:", cause)
    })
    return watcher
  }

  #take(
    object: { metadata: { namespace: string; name: string }; spec: { externalIPs?: ReadonlyArray<string> } },
    at: number
  ) {
    const { namespace, name } = object.metadata
    const key = `${namespace}/${name}`
    const isShown = (object.spec.externalIPs ?? []).length > 0
    if (isShown === this.published.has(key)) return
    if (isShown) this.published.set(key, at)
    else this.published.delete(key)
    this.#counts.set(namespace, this.count(namespace) + (isShown ? 1 : -1))
  }

  count(namespace: string): number {
    return this.#counts.get(namespace) ?? 0
  }

  /** Resolves when the condition holds, looked at after each event; rejects after so many seconds. */
  until(what: string, holds: () => boolean, seconds: number): Promise<void> {
    if (holds()) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`waited ${seconds} s for ${what}`)), seconds * 1000)
      this.#waiters.push({
        holds,
        resolve: () => {
          clearTimeout(timer)
          resolve()
        }
      })
    })
  }

  stop(): void {
    this.#stop.abort()
  }
}
