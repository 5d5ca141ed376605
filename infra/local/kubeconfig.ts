import { readFileSync } from "node:fs"
import { request } from "node:https"
import { dirname, resolve } from "node:path"
import * as Effect from "effect/Effect"
import { parse } from "yaml"
import { LocalFailure, reasonOf } from "./failure.ts"

/** Where an API server is and how an administrator is let in. */
export interface Access {
  /** As in `https://127.0.0.1:6443`. */
  readonly server: string
  /** Empty when the user gets in with a certificate or a plugin. */
  readonly token: string
  /** PEM; empty when the system's authorities are trusted. */
  readonly ca: string
  readonly cert?: string
  readonly key?: string
}

/** The text of a kubeconfig with this one cluster and user. */
export const kubeconfigOf = (access: Access): string => `apiVersion: v1
kind: Config
current-context: extip
contexts:
  - name: extip
    context:
      cluster: extip
      user: admin
clusters:
  - name: extip
    cluster:
      server: ${access.server}
      certificate-authority-data: ${Buffer.from(access.ca).toString("base64")}
users:
  - name: admin
    user:
      token: ${access.token}
`

interface Config {
  readonly "current-context"?: string
  readonly contexts?: ReadonlyArray<{ name: string; context: { cluster: string; user: string } }>
  readonly clusters?: ReadonlyArray<{ name: string; cluster: Record<string, string | undefined> }>
  readonly users?: ReadonlyArray<{ name: string; user: Record<string, string | undefined> }>
}

/** The current context of a kubeconfig that somebody else wrote. */
export const readAccess = (path: string): Effect.Effect<Access, LocalFailure> =>
  Effect.try({
    try: () => {
      const config = parse(readFileSync(path, "utf8")) as Config
      const context = config.contexts?.find(({ name }) => name === config["current-context"])?.context
      const cluster = config.clusters?.find(({ name }) => name === context?.cluster)?.cluster
      const user = config.users?.find(({ name }) => name === context?.user)?.user ?? {}
      if (cluster?.server === undefined) throw new Error("its current context names no cluster with a server")
      const file = (name: string | undefined) =>
        name === undefined ? undefined : readFileSync(resolve(dirname(path), name), "utf8")
      const data = (text: string | undefined) =>
        text === undefined ? undefined : Buffer.from(text, "base64").toString("utf8")
      const cert = data(user["client-certificate-data"]) ?? file(user["client-certificate"])
      const key = data(user["client-key-data"]) ?? file(user["client-key"])
      return {
        server: cluster.server.replace(/\/$/, ""),
        token: user.token ?? file(user.tokenFile)?.trim() ?? "",
        ca: data(cluster["certificate-authority-data"]) ?? file(cluster["certificate-authority"]) ?? "",
        ...(cert === undefined ? {} : { cert }),
        ...(key === undefined ? {} : { key })
      }
    },
    catch: (cause) => new LocalFailure({ what: `kubeconfig ${path}`, detail: reasonOf(cause), cause })
  })

/** The body of a GET that was answered 200, else nothing; at most `millis` long. */
export const get = (access: Access, path: string, millis: number): Effect.Effect<string | undefined> =>
  Effect.callback<string | undefined>((resume) => {
    const answer = (body: string | undefined) => resume(Effect.succeed(body))
    const asked = request(
      `${access.server}${path}`,
      {
        timeout: millis,
        agent: false,
        ...(access.ca === "" ? {} : { ca: access.ca }),
        ...(access.cert === undefined ? {} : { cert: access.cert }),
        ...(access.key === undefined ? {} : { key: access.key }),
        ...(access.token === "" ? {} : { headers: { authorization: `Bearer ${access.token}` } })
      },
      (response) => {
        let body = ""
        response.setEncoding("utf8").on("data", (data) => {
          body += data
        })
        response.on("end", () => answer(response.statusCode === 200 ? body : undefined))
      }
    )
    asked.on("timeout", () => asked.destroy())
    asked.on("error", () => answer(undefined))
    asked.end()
    return Effect.sync(() => asked.destroy())
  })

/** As in `v1.37.2`; `unknown` when it is not told to us. */
export const versionOf = (access: Access): Effect.Effect<string> =>
  Effect.map(get(access, "/version", 5_000), (body) => {
    const told = body === undefined ? undefined : (JSON.parse(body) as { gitVersion?: string }).gitVersion
    return told ?? "unknown"
  })
