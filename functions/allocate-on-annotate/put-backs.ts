interface PutBack {
  readonly times: number
  readonly at: number
}

const atOnce = 3
const firstWaitMillis = 1_000
const longestWaitMillis = 60_000
/** So long after the last wait nobody is against it any more. */
const quietMillis = 60_000
const remembered = 10_000

/**
 * How often each Service's address was put back, so that two who write the same entry do not do so as fast as they can.
 * Forgotten with the process: then it begins anew.
 */
export class PutBacks {
  /** Service's uid → what was put back, who was first comes first. */
  readonly #byUid = new Map<string, PutBack>()

  /** How often it was put back in a row, by now (milliseconds since the epoch). */
  times(uid: string, now: number): number {
    const last = this.#byUid.get(uid)
    return last === undefined || now - last.at > waitAfter(last.times) + quietMillis ? 0 : last.times
  }

  /** How many milliseconds it has to wait. */
  waitMillis(uid: string, now: number): number {
    const times = this.times(uid, now)
    return times === 0 ? 0 : Math.max(0, this.#byUid.get(uid)!.at + waitAfter(times) - now)
  }

  done(uid: string, now: number): void {
    const times = this.times(uid, now) + 1
    this.#byUid.delete(uid)
    this.#byUid.set(uid, { times, at: now })
    if (this.#byUid.size <= remembered) return
    for (const oldest of this.#byUid.keys()) {
      this.#byUid.delete(oldest)
      return
    }
  }
}

const waitAfter = (times: number): number =>
  times < atOnce ? 0 : Math.min(firstWaitMillis * 2 ** (times - atOnce), longestWaitMillis)
