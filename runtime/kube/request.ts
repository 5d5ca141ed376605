import { createRequire } from "node:module"
import type { Dispatcher, Agent as UndiciAgent } from "undici"

// The package's index loads a fetch, WebSockets, caches and mocks too: 14 MB and 45 ms of CPU in every process.
const load = createRequire(import.meta.url)

export type { Dispatcher }

export type Agent = UndiciAgent
export const Agent: typeof UndiciAgent = load("undici/lib/dispatcher/agent.js")

type Ask = (this: Dispatcher, options: Dispatcher.RequestOptions) => Promise<Dispatcher.ResponseData>
const ask: Ask = load("undici/lib/api/api-request.js")

/** One request to a path of the server (`https://host:port`, or with a path of its own before ours). */
export const request = (
  dispatcher: Dispatcher,
  server: string,
  options: Dispatcher.RequestOptions
): Promise<Dispatcher.ResponseData> => {
  const [, origin = server, prefix = ""] = /^(https?:\/\/[^/]+)(.*)$/.exec(server) ?? []
  return ask.call(dispatcher, { ...options, origin, path: `${prefix}${options.path}` })
}
