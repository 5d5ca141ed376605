import { HttpMethod, KubeConfig, RequestContext } from "@kubernetes/client-node"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type { Dispatcher } from "undici"

/** There is no usable kubeconfig: nothing can be asked. */
export class NoCluster extends Data.TaggedError("NoCluster")<{ readonly detail: string }> {
  override get message() {
    return `no cluster to talk to: ${this.detail}. Point KUBECONFIG to a kubeconfig, or run inside a cluster`
  }
}

/** Where the API server is and how to be let in: every authentication that `@kubernetes/client-node` knows. */
export interface ClusterAccess {
  readonly server: string
  /** One pool of connections for all requests. The client would open a new one for each. */
  readonly dispatcher: () => Promise<Dispatcher>
  /** The headers of a request; tokens are read again when they are older than a minute, since they rotate. */
  readonly headers: () => Promise<Record<string, string>>
  /** Forget tokens and certificates: the API server did not accept them. */
  readonly refresh: () => void
  readonly close: () => Promise<void>
}

const headersLiveMillis = 60_000

const open = (config: KubeConfig, server: string): ClusterAccess => {
  let dispatcher: Promise<Dispatcher> | undefined
  let headers: { readonly at: number; readonly value: Promise<Record<string, string>> } | undefined
  const authenticate = async (): Promise<Dispatcher> => {
    const context = new RequestContext(server, HttpMethod.GET)
    await config.applySecurityAuthentication(context)
    const made = context.getDispatcher()
    if (made !== undefined) return made as unknown as Dispatcher
    const { Agent } = await import("undici")
    return new Agent()
  }
  const readHeaders = async (): Promise<Record<string, string>> => {
    const options: { headers?: Record<string, unknown>; auth?: string | null } = {}
    await config.applyToHTTPSOptions(options as never)
    const result: Record<string, string> = {}
    for (const [name, value] of Object.entries(options.headers ?? {}))
      result[name.toLowerCase()] = String(value)
    if (typeof options.auth === "string") {
      result["authorization"] = `Basic ${Buffer.from(options.auth).toString("base64")}`
    }
    return result
  }
  return {
    server,
    dispatcher: () => (dispatcher ??= authenticate()),
    headers: () => {
      const now = performance.now()
      if (headers === undefined || now - headers.at > headersLiveMillis) {
        headers = { at: now, value: readHeaders() }
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

/**
 * Opens the cluster of `kubeconfig` (a path), of `KUBECONFIG` or `~/.kube/config`, or the one we run in.
 */
export const openCluster = (kubeconfig?: string): Effect.Effect<ClusterAccess, NoCluster> =>
  Effect.try({
    try: () => {
      const config = new KubeConfig()
      if (kubeconfig === undefined) config.loadFromDefault()
      else config.loadFromFile(kubeconfig)
      const cluster = config.getCurrentCluster()
      if (cluster === null) throw new Error("the kubeconfig names no current context")
      return open(config, cluster.server.replace(/\/$/, ""))
    },
    catch: (cause) => new NoCluster({ detail: cause instanceof Error ? cause.message : String(cause) })
  })
