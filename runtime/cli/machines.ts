import { closeSync, openSync } from "node:fs"
import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { addressesOf, Cables, gateway, type HostPlan } from "../../infra/local/cables.ts"
import { LocalFailure } from "../../infra/local/failure.ts"
import { Gate } from "../../infra/local/gate.ts"
import type { NatsServer } from "../../infra/local/index.ts"
import { spawnTied } from "../../infra/local/process.ts"
import { smallHeap } from "./heap.ts"

const here = dirname(fileURLToPath(import.meta.url))

/** Who answers for an address on the LAN, from some moment on. */
export interface Answering {
  /** The node, or the MAC of a machine that is none. */
  readonly who: string
  readonly mac: string
  /** For so long nobody had answered. */
  readonly silentMillis: number
}

/** Nodes and a client on one LAN, each a network namespace of this machine. They end with the scope. */
export interface Machines {
  readonly nodes: ReadonlyArray<{ readonly name: string; readonly log: string }>
  /** Asks from the client for the address, 100 times a second; calls back whenever another machine answers. */
  readonly ask: (address: string, answering: (now: Answering) => void) => Effect.Effect<void, LocalFailure>
  /** The node's host is off, at once, and with it everything on it. */
  readonly powerCut: (node: string) => Effect.Effect<void, LocalFailure>
}

const failed = (what: string) => (cause: unknown) =>
  cause instanceof LocalFailure
    ? cause
    : new LocalFailure({ what, detail: cause instanceof Error ? cause.message : String(cause), cause })

export const machines = (options: {
  readonly count: number
  readonly nats: NatsServer
  /** Where logs and slices are kept. */
  readonly directory: string
}): Effect.Effect<Machines, LocalFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const plans: ReadonlyArray<HostPlan> = [
      { name: "client", number: 2, networks: ["lan"] },
      ...Array.from({ length: options.count }, (_, index) => ({
        name: `node-${index + 1}`,
        number: 11 + index,
        networks: ["lan", "mgmt"] as const
      }))
    ]
    const cables = yield* Effect.acquireRelease(
      Effect.tryPromise({ try: () => Cables.open(plans), catch: failed("network namespaces") }),
      (opened) => Effect.sync(() => opened.close())
    )
    const gate = yield* Effect.acquireRelease(
      Effect.sync(() => new Gate(cables)),
      (opened) => Effect.sync(() => opened.close())
    )
    const { hostname, port: given } = new URL(options.nats.url.split(",")[0]!)
    const port = Number(given || 4222)
    yield* Effect.tryPromise({
      try: () => gate.letOut(port, { host: hostname, port }),
      catch: failed("the way from the nodes to NATS")
    })
    const { ledger } = cables.namespaces
    const inside = (host: string, script: string, args: ReadonlyArray<string>) => {
      const command = [...smallHeap, join(here, script), ...args]
      const [path, ...all] = cables.host(host).namespace.inside(process.execPath, command)
      return { name: `${script} on ${host}`, path, args: all, ledger }
    }
    const names = plans.map(({ name }) => name).filter((name) => name !== "client")
    const nodes = names.map((name) => {
      const log = join(options.directory, `${name}.log`)
      const output = openSync(log, "a")
      const nats = options.nats.as("node", `${gateway}:${port}`)
      const slice = join(options.directory, `${name}.slice.json`)
      spawnTied(inside(name, "main.js", ["node", "--nats", nats, "--name", name, "--slice", slice]), output)
      closeSync(output)
      return { name, log }
    })
    const whoHas = (mac: string) =>
      plans.find(({ number }) => addressesOf(number).lan.mac === mac)?.name ?? mac
    return {
      nodes,
      ask: (address, answering) =>
        Effect.tryPromise({
          try: async () => {
            const { namespace } = cables.host("client")
            const [link] = JSON.parse(await namespace.run("ip", ["-j", "link", "show", "dev", "eth0"]))
            const args = [String(link.ifindex), link.address, address]
            const child = spawnTied(inside("client", "asker.ts", args), "pipe")
            const lines = createInterface({ input: child.stdout! })
            lines.on("line", (line) => {
              const { mac, silentMillis } = JSON.parse(line)
              answering({ who: whoHas(mac), mac, silentMillis })
            })
          },
          catch: failed("the client on the LAN")
        }),
      powerCut: (node) =>
        Effect.tryPromise({ try: () => cables.lose([node]), catch: failed(`the power cut of ${node}`) })
    }
  })
