import { request } from "node:http"
import { answering } from "../lan/remote.ts"
import type { ClientQuestions, Outcome } from "./client.ts"

/** One request on a connection of its own. */
const ask = (url: string, timeout: number): Promise<Outcome> =>
  new Promise((done) => {
    const at = Date.now()
    const from = performance.now()
    let connectMillis: number | undefined
    const end = (outcome: { readonly body?: string; readonly failed?: string }) =>
      done({ at, url, millis: performance.now() - from, connectMillis, ...outcome })
    const asked = request(url, { agent: false, timeout }, (response) => {
      let body = ""
      response.setEncoding("utf8")
      response.on("data", (text) => {
        body += text
      })
      response.on("end", () =>
        end(response.statusCode === 200 ? { body } : { failed: `status ${response.statusCode}` })
      )
      response.on("error", (cause) => end({ failed: cause.message }))
    })
    asked.on("socket", (socket) => {
      socket.on("connect", () => {
        connectMillis = performance.now() - from
      })
    })
    asked.on("timeout", () => asked.destroy(new Error(`no answer within ${timeout} ms`)))
    asked.on("error", (cause) => end({ failed: cause.message }))
    asked.end()
  })

const loads = new Map<number, { readonly timer: NodeJS.Timeout; readonly asked: Array<Promise<Outcome>> }>()
let started = 0

answering<ClientQuestions>({
  once: ({ url, timeoutMillis }) => ask(url, timeoutMillis),
  start: ({ urls, everyMillis, timeoutMillis }) => {
    const asked: Array<Promise<Outcome>> = []
    const timer = setInterval(() => {
      for (const url of urls) asked.push(ask(url, timeoutMillis))
    }, everyMillis)
    loads.set(++started, { timer, asked })
    return started
  },
  stop: async (id) => {
    const load = loads.get(id)
    if (load === undefined) throw new Error(`nothing was started as ${id}`)
    loads.delete(id)
    clearInterval(load.timer)
    return await Promise.all(load.asked)
  }
})
