import { once } from "node:events"
import { createServer, type IncomingMessage, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { pipeline } from "node:stream/promises"
import { Agent, request } from "undici"
import type { ClusterAccess } from "../../runtime/kube/access.ts"

/** A request that came in, in milliseconds of `performance.now()`. */
export interface Asked {
  readonly at: number
  readonly path: string
  readonly query: URLSearchParams
  readonly isWatch: boolean
}

/** What it answers in the API server's place. */
export interface Instead {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: unknown
}

/** An HTTP proxy in front of the API server, which remembers what was asked and may answer itself. */
export class FrontDoor {
  readonly asked: Array<Asked> = []
  /** Asked for each request; `undefined` passes it on. */
  instead: (asked: Asked) => Instead | undefined = () => undefined
  readonly access: ClusterAccess
  readonly #server: ReturnType<typeof createServer>
  readonly #agent = new Agent({ allowH2: false })

  private constructor(server: ReturnType<typeof createServer>, real: ClusterAccess) {
    this.#server = server
    const { port } = server.address() as AddressInfo
    this.access = {
      server: `http://127.0.0.1:${port}`,
      dispatcher: async () => this.#agent,
      headers: async () => ({}),
      refresh: () => undefined,
      close: () => this.close()
    }
    server.on("request", (incoming, outgoing) => {
      this.#serve(real, incoming, outgoing).catch(() => outgoing.destroy())
    })
  }

  static async open(real: ClusterAccess): Promise<FrontDoor> {
    const server = createServer()
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return new FrontDoor(server, real)
  }

  lists(plural: string): ReadonlyArray<Asked> {
    return this.asked.filter(({ path, isWatch }) => path.endsWith(`/${plural}`) && !isWatch)
  }

  watches(plural: string): ReadonlyArray<Asked> {
    return this.asked.filter(({ path, isWatch }) => path.endsWith(`/${plural}`) && isWatch)
  }

  /** Ends the open requests, as a server does that goes away. */
  endOpen(): void {
    this.#server.closeAllConnections()
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await this.#agent.destroy()
  }

  async #serve(real: ClusterAccess, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url!, "http://any")
    const query = url.searchParams
    const asked = {
      at: performance.now(),
      path: url.pathname,
      query,
      isWatch: query.get("watch") === "true"
    }
    this.asked.push(asked)
    const instead = this.instead(asked)
    if (instead !== undefined) {
      outgoing.writeHead(instead.status, { "content-type": "application/json", ...instead.headers })
      outgoing.end(JSON.stringify(instead.body ?? {}))
      return
    }
    const gone = new AbortController()
    outgoing.once("close", () => gone.abort())
    const answer = await request(`${real.server}${incoming.url}`, {
      dispatcher: await real.dispatcher(),
      headers: { accept: "application/json", ...(await real.headers()) },
      signal: gone.signal
    })
    outgoing.writeHead(answer.statusCode, answer.headers as Record<string, string>)
    outgoing.flushHeaders()
    await pipeline(answer.body, outgoing)
  }
}
