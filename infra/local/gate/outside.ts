import { spawn } from "node:child_process"
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import type { FromInside, FromOutside, ToInside, ToOutside } from "./messages.ts"
import { splice } from "./splice.ts"

/**
 * The half of the gate that runs outside, where the machine's own ports are. Arguments: the address to listen on
 * inside, then the command line that starts the other half there.
 */
const [address, command, ...args] = process.argv.slice(2) as [string, string, ...Array<string>]
const inside = spawn(command, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] })
inside.once("exit", () => process.exit(1))

const say = (message: FromOutside): void => void process.send!(message)
const ask = (message: ToInside, server?: Server): void => {
  inside.send(message, server, {}, () => server?.close())
}

/** Questions to the other half that wait for their socket. */
const waiting = new Map<number, Extract<ToOutside, { tag: "let out" }>>()

inside.on("message", ({ id, failed }: FromInside, handle: unknown) => {
  const question = waiting.get(id)!
  waiting.delete(id)
  if (failed !== undefined) return say({ tag: "failed", id, reason: failed })
  ;(handle as Server).on("connection", (client: Socket) => splice(client, connect(question.to)))
  say({ tag: "done", id, port: question.port })
})

process.on("message", (message: ToOutside) => {
  if (message.tag === "host") return ask(message)
  const { id, port } = message
  if (message.tag === "let out") {
    waiting.set(id, message)
    return ask({ tag: "listen", id, address, port })
  }
  const server = createServer()
  server.once("error", ({ message: reason }) => say({ tag: "failed", id, reason }))
  server.listen(0, "127.0.0.1", () => {
    const own = (server.address() as AddressInfo).port
    ask({ tag: "serve", host: message.host, port }, server)
    say({ tag: "done", id, port: own })
  })
})
process.on("disconnect", () => process.exit(0))
