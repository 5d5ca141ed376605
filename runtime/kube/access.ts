import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import { openCredentials } from "./kubeconfig.ts"
import { Agent, type Dispatcher } from "./request.ts"

/** There is no usable kubeconfig: nothing can be asked. */
export class NoCluster extends Data.TaggedError("NoCluster")<{ readonly detail: string }> {
  override get message() {
    return `no cluster to talk to: ${this.detail}. Point KUBECONFIG to a kubeconfig, or run inside a cluster`
  }
}

/** Where the API server is and how to be let in. */
export interface ClusterAccess {
  readonly server: string
  /** One pool of connections for all requests. */
  readonly dispatcher: () => Promise<Dispatcher>
  /** The headers of a request; tokens are read again when they are older than a minute, since they rotate. */
  readonly headers: () => Promise<Record<string, string>>
  /** Forget the headers: the API server did not accept them. */
  readonly refresh: () => void
  readonly close: () => Promise<void>
}

const headersLiveMillis = 60_000

/** Enough for every function's handlers and the bridge's watches; an API server gives each a goroutine. */
const connections = 64

/** A new connection costs both sides more than the request; API servers keep an idle one for 90 s and more. */
const keepAliveTimeout = 60_000

/** Load balancers drop what is silent for a minute; as client-go has it. */
const keepAlive = { keepAlive: true, keepAliveInitialDelay: 30_000 }

interface Way {
  readonly server: string
  readonly dispatcher: () => Promise<Dispatcher>
  readonly headers: () => Promise<Record<string, string>>
}

const open = (way: Way): ClusterAccess => {
  let dispatcher: Promise<Dispatcher> | undefined
  let headers: { readonly at: number; readonly value: Promise<Record<string, string>> } | undefined
  return {
    server: way.server.replace(/\/$/, ""),
    dispatcher: () => {
      if (dispatcher === undefined) {
        const made = way.dispatcher()
        dispatcher = made
        // Credentials that could not be had once may be had the next time.
        made.catch(() => {
          if (dispatcher === made) dispatcher = undefined
        })
      }
      return dispatcher
    },
    headers: () => {
      const now = performance.now()
      if (headers === undefined || now - headers.at > headersLiveMillis) {
        headers = { at: now, value: way.headers() }
        headers.value.catch(() => {
          headers = undefined
        })
      }
      return headers.value
    },
    refresh: () => {
      headers = undefined
    },
    close: async () => {
      if (dispatcher !== undefined) await (await dispatcher).destroy()
    }
  }
}

/** Credentials of every kind, by `@kubernetes/client-node`. Loaded when needed: it is a third of a process's memory. */
const byClient = async (kubeconfig: string | undefined): Promise<Way> => {
  const { HttpMethod, KubeConfig, RequestContext } = await import("@kubernetes/client-node")
  const config = new KubeConfig()
  if (kubeconfig === undefined) config.loadFromDefault()
  else config.loadFromFile(kubeconfig)
  const cluster = config.getCurrentCluster()
  if (cluster === null) throw new Error("the kubeconfig names no current context")
  return {
    server: cluster.server,
    dispatcher: async () => {
      // One for all requests: the client itself would open a connection for each.
      const context = new RequestContext(cluster.server, HttpMethod.GET)
      await config.applySecurityAuthentication(context)
      return (context.getDispatcher() as unknown as Dispatcher | undefined) ?? new Agent({ connections })
    },
    headers: async () => {
      const context = new RequestContext(cluster.server, HttpMethod.GET)
      await config.applySecurityAuthentication(context)
      const unused = context.getDispatcher() as unknown as Dispatcher | undefined
      if (unused !== undefined) await unused.close()
      const headers = Object.entries(context.getHeaders())
      return Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), value]))
    }
  }
}

/**
 * Opens the cluster of `kubeconfig` (a path), of `KUBECONFIG` or `~/.kube/config`, or the one we run in.
 */
export const openCluster = (kubeconfig?: string): Effect.Effect<ClusterAccess, NoCluster> =>
  Effect.tryPromise({
    try: async () => {
      const credentials = openCredentials(kubeconfig)
      if (credentials === undefined) return open(await byClient(kubeconfig))
      const { server, tls, token } = credentials
      return open({
        server,
        // HTTP/1.1: Node's HTTP/2 costs half as much CPU again for each of our small requests.
        dispatcher: async () =>
          new Agent({ allowH2: false, connections, keepAliveTimeout, connect: { ...tls, ...keepAlive } }),
        headers: async () => {
          const bearer = token()
          return bearer === undefined ? {} : ({ authorization: `Bearer ${bearer}` } as Record<string, string>)
        }
      })
    },
    catch: (cause) => new NoCluster({ detail: cause instanceof Error ? cause.message : String(cause) })
  })
