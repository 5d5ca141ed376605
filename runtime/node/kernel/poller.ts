import koffi, { type node } from "koffi"

interface Watched {
  handle: node.PollHandle | undefined
  onReadable: () => void
  /** libuv stops watching a descriptor that has an error (a link went down, events were lost) to be collected. */
  stopped: boolean
  due: boolean
}

/**
 * Tells of descriptors that can be read, by the event loop of Node itself (its epoll): no thread waits. What is left
 * unread is told again. A descriptor that is watched keeps the process running.
 */
export class Poller {
  readonly #watched = new Set<Watched>()

  /** Returns how to stop, which must come before the descriptor is closed. */
  add(fd: number, onReadable: () => void): () => void {
    const watched: Watched = { handle: undefined, onReadable, stopped: false, due: false }
    const told = (status: unknown): void => {
      if (typeof status === "number" && status < 0) watched.stopped = true
      if (watched.due) return
      watched.due = true
      // koffi calls from outside of Node's callbacks, where promises would wait and what is thrown would be lost.
      setImmediate(() => {
        watched.due = false
        if (watched.handle === undefined) return
        try {
          watched.onReadable()
        } finally {
          if (watched.stopped) {
            watched.stopped = false
            watched.handle?.start({ readable: true }, told)
          }
        }
      })
    }
    watched.handle = koffi.node.poll(fd, { readable: true }, told)
    this.#watched.add(watched)
    return () => this.#remove(watched)
  }

  #remove(watched: Watched): void {
    watched.handle?.close()
    watched.handle = undefined
    this.#watched.delete(watched)
  }

  close(): void {
    for (const watched of this.#watched) this.#remove(watched)
  }
}
