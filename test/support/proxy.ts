import { once } from "node:events"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import type { ClusterAccess } from "../../runtime/kube/access.ts"

/** What the proxy does with the bytes of its connections, those that are open as well as those to come. */
export type Behaviour =
  | { readonly _tag: "Pass" }
  /** Takes everything, passes on nothing, and says nothing: a firewall that forgot the connection. */
  | { readonly _tag: "BlackHole" }
  /** Keeps what the client sends until it may pass again. */
  | { readonly _tag: "HoldClient" }
  /** So many bytes per second to the client, of all connections together. */
  | { readonly _tag: "Throttle"; readonly bytesPerSecond: number }
  /** Each piece reaches the client so much later. */
  | { readonly _tag: "Delay"; readonly millis: number }
  /** Resets the connection once so many more bytes have gone to the client, then passes again. */
  | { readonly _tag: "ResetAfter"; readonly bytes: number }

interface Connection {
  readonly client: Socket
  readonly server: Socket
  /** When the connection was opened, as a count. */
  readonly number: number
}

const tickMillis = 20

/** Forwards TCP to a port of this machine, and misbehaves as it is told. */
export class TcpProxy {
  readonly port: number
  /** Connections opened so far. */
  opened = 0
  /** Connections that this proxy has reset. */
  resets = 0
  /** Bytes of clients that were kept for a while, and passed on then. */
  held = 0
  readonly #server: ReturnType<typeof createServer>
  readonly #connections = new Set<Connection>()
  #behaviour: Behaviour = { _tag: "Pass" }
  /** Connections up to this number are black holes for ever. */
  #lostUpTo = 0
  /** Of connections up to this number nothing more is read. */
  #unreadUpTo = 0
  #budget = 0

  private constructor(server: ReturnType<typeof createServer>, to: number) {
    this.#server = server
    this.port = (server.address() as AddressInfo).port
    server.on("connection", (client: Socket) => this.#accept(client, to))
  }

  static async open(to: number): Promise<TcpProxy> {
    const server = createServer({ allowHalfOpen: false })
    server.listen(0, "127.0.0.1")
    await once(server, "listening")
    return new TcpProxy(server, to)
  }

  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour
    if (behaviour._tag === "ResetAfter") this.#budget = behaviour.bytes
  }

  /** From now on the open connections are black holes; new ones behave as told. */
  loseOpen(): void {
    this.#lostUpTo = this.opened
  }

  /** From now on nothing that the open connections send is taken: what they write fills the buffers of both ends. */
  stopReadingOpen(): void {
    this.#unreadUpTo = this.opened
  }

  /** Resets what is open. */
  resetOpen(): void {
    for (const connection of this.#connections) this.#reset(connection)
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const { client, server } of this.#connections) {
      client.destroy()
      server.destroy()
    }
    if (this.#server.listening) await once(this.#server, "close")
  }

  #accept(client: Socket, to: number): void {
    const server = connect({ host: "127.0.0.1", port: to })
    const connection: Connection = { client, server, number: ++this.opened }
    this.#connections.add(connection)
    const end = () => {
      this.#connections.delete(connection)
      client.destroy()
      server.destroy()
    }
    for (const socket of [client, server]) socket.setNoDelay(true).on("error", end).on("close", end)
    let passed = Promise.resolve()
    this.#pump(connection, client, server, async (chunk) => {
      while (this.#isUnread(connection)) await this.#tick()
      if (this.#isOf(connection, "HoldClient")) this.held += chunk.length
      passed = passed.then(async () => {
        while (this.#isOf(connection, "HoldClient")) await this.#tick()
        server.write(chunk)
      })
      return false
    })
    this.#pump(connection, server, client, (chunk) => this.#beforeClient(connection, chunk))
  }

  #isOf(connection: Connection, tag: Behaviour["_tag"]): boolean {
    return this.#connections.has(connection) && this.#behaviour._tag === tag
  }

  #isLost(connection: Connection): boolean {
    return connection.number <= this.#lostUpTo || this.#behaviour._tag === "BlackHole"
  }

  #isUnread(connection: Connection): boolean {
    return this.#connections.has(connection) && connection.number <= this.#unreadUpTo
  }

  /** `before` says whether the chunk is still to be passed on. */
  #pump(of: Connection, from: Socket, to: Socket, before: (chunk: Buffer) => Promise<boolean>): void {
    void (async () => {
      for await (const chunk of from as AsyncIterable<Buffer>) {
        if (this.#isLost(of)) continue
        if ((await before(chunk)) && !to.write(chunk)) await once(to, "drain")
      }
    })().catch(() => undefined)
  }

  async #beforeClient(connection: Connection, chunk: Buffer): Promise<boolean> {
    const behaviour = this.#behaviour
    switch (behaviour._tag) {
      case "Delay":
        await new Promise((resolve) => setTimeout(resolve, behaviour.millis))
        return true
      case "Throttle":
        this.#budget += chunk.length
        while (this.#budget > 0 && this.#isOf(connection, "Throttle")) {
          await this.#tick()
          this.#budget -= (behaviour.bytesPerSecond * tickMillis) / 1000
        }
        return true
      case "ResetAfter": {
        this.#budget -= chunk.length
        if (this.#budget > 0) return true
        this.#behaviour = { _tag: "Pass" }
        connection.client.write(chunk.subarray(0, Math.max(0, chunk.length + this.#budget)))
        this.#reset(connection)
        return false
      }
      default:
        return true
    }
  }

  #reset({ client, server }: Connection): void {
    this.resets++
    client.resetAndDestroy()
    server.destroy()
  }

  #tick(): Promise<void> {
    return new Promise((resolve) => setTimeout(resolve, tickMillis))
  }
}

/** The same cluster, reached through a proxy: the certificate names the address, whatever the port. */
export const through = (access: ClusterAccess, proxy: TcpProxy): ClusterAccess => ({
  ...access,
  server: `https://127.0.0.1:${proxy.port}`
})
