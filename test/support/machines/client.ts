import { Remote } from "../lan/remote.ts"
import { until } from "../until.ts"
import type { RealCluster } from "./realCluster.ts"

/** What became of one HTTP request. */
export interface Outcome {
  readonly url: string
  /** When it was sent, in milliseconds since 1970. */
  readonly at: number
  readonly millis: number
  /** Until the connection was made, if it was. */
  readonly connectMillis: number | undefined
  /** Of an answer 200. */
  readonly body?: string
  readonly failed?: string
}

export type ClientQuestions = {
  readonly once: readonly [{ readonly url: string; readonly timeoutMillis: number }, Outcome]
  readonly start: readonly [
    { readonly urls: ReadonlyArray<string>; readonly everyMillis: number; readonly timeoutMillis: number },
    number
  ]
  readonly stop: readonly [number, ReadonlyArray<Outcome>]
}

export interface Load {
  /** Ends it, and waits for the answers that are due. */
  readonly stop: () => Promise<ReadonlyArray<Outcome>>
}

/** A first packet that is lost is repeated by TCP after a second. */
const timeoutMillis = 3_000
/** So where a connection takes longer, its first packet was lost. A server that is slow, on a busy machine, is no loss. */
const lateMillis = 900

/** Somebody on the LAN who is no part of the cluster, and asks by HTTP. */
export class Client {
  readonly #cluster: RealCluster
  readonly #remote: Remote<ClientQuestions>

  private constructor(cluster: RealCluster, remote: Remote<ClientQuestions>) {
    this.#cluster = cluster
    this.#remote = remote
  }

  static async open(cluster: RealCluster): Promise<Client> {
    const remote = new Remote<ClientQuestions>(cluster.lan.namespaces, cluster.client, "../machines/client")
    await remote.ready()
    return new Client(cluster, remote)
  }

  /** One request, as often as it takes: what the pod said. */
  async answered(address: string, seconds = 60): Promise<{ pod: string; node: string; client: string }> {
    const url = `http://${address}/`
    let last: Outcome | undefined
    return await until(
      `${url} to be answered`,
      async () => {
        last = await this.#remote.ask("once", { url, timeoutMillis })
        return last.body === undefined ? undefined : JSON.parse(last.body)
      },
      { seconds, last: () => last }
    )
  }

  /** Whether one request is answered. */
  async reaches(address: string): Promise<boolean> {
    const outcome = await this.#remote.ask("once", { url: `http://${address}/`, timeoutMillis })
    return outcome.body !== undefined
  }

  /** New connections, again and again. */
  async load(addresses: ReadonlyArray<string>, everyMillis = 50): Promise<Load> {
    const urls = addresses.map((address) => `http://${address}/`)
    const id = await this.#remote.ask("start", { urls, everyMillis, timeoutMillis })
    return { stop: () => this.#remote.ask("stop", id) }
  }

  /** Whom it takes to have which address. */
  async neighbours(): Promise<string> {
    return await this.#cluster.client.run("ip", ["neigh"])
  }

  close(): void {
    this.#remote.end()
  }
}

export const failuresOf = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> =>
  outcomes.filter(({ failed }) => failed !== undefined)

/** Those that were not answered at once, or not at all. */
export const missedOf = (outcomes: ReadonlyArray<Outcome>): ReadonlyArray<Outcome> =>
  outcomes.filter(
    ({ failed, connectMillis }) => failed !== undefined || (connectMillis ?? Infinity) > lateMillis
  )

/** From the first request that was not answered at once to the first one from which on all were, in milliseconds; 0: all were. */
export const outageOf = (outcomes: ReadonlyArray<Outcome>): number => {
  const missed = missedOf(outcomes).map(({ at }) => at)
  if (missed.length === 0) return 0
  const last = Math.max(...missed)
  const after = outcomes.filter(({ at }) => at > last).map(({ at }) => at)
  return (after.length === 0 ? Number.POSITIVE_INFINITY : Math.min(...after)) - Math.min(...missed)
}
