import { closeSync, openSync } from "node:fs"
import { connect, createServer, type Server, type Socket } from "node:net"
import koffi from "koffi"
import type { FromInside, ToInside } from "./messages.ts"
import { splice } from "./splice.ts"

/**
 * The half of the gate that runs inside the namespaces. It opens the sockets that have to be there: those that listen
 * are handed to the other half; those that connect to a host are made by entering the host's namespace for a moment.
 */
const libc = koffi.load("libc.so.6")
const setns = libc.func("int setns(int fd, int nstype)")
const cloneNewNet = 0x40000000
const own = openSync("/proc/thread-self/ns/net", "r")

const paths = new Map<string, string>()

const enter = (descriptor: number): void => {
  if (setns(descriptor, cloneNewNet) !== 0) throw new Error(`setns: errno ${koffi.errno()}`)
}

/** Node makes the socket in the next turn, once it has seen that the address is no name: so one at a time. */
let turn: Promise<unknown> = Promise.resolve()
const connectFrom = (host: string, port: number, client: Socket): void => {
  client.pause()
  turn = turn.then(async () => {
    try {
      const descriptor = openSync(paths.get(host) ?? "", "r")
      try {
        enter(descriptor)
        splice(client, connect({ host: "127.0.0.1", port, family: 4 }))
        await new Promise((done) => setImmediate(done))
      } finally {
        closeSync(descriptor)
        enter(own)
      }
    } catch {
      // The host is not there: nobody listens.
      client.resetAndDestroy()
    }
  })
}

const answer = (message: FromInside, server?: Server): void => {
  // Handed over: from here on the other half accepts.
  process.send!(message, server, {}, () => server?.close())
}

process.on("message", (message: ToInside, handle: unknown) => {
  if (message.tag === "host") paths.set(message.host, message.path)
  else if (message.tag === "serve") {
    ;(handle as Server).on("connection", (client: Socket) => connectFrom(message.host, message.port, client))
  } else {
    const server = createServer()
    server.once("error", ({ message: failed }) => answer({ id: message.id, failed }))
    server.listen(message.port, message.address, () => answer({ id: message.id }, server))
  }
})
process.on("disconnect", () => process.exit(0))
