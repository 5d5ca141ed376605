import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import { teardown } from "./process.ts"
import { version } from "./version.ts"

const ofProcesses = async () => {
  const { bridge, functionsCommand } = await import("./processes.ts")
  return [bridge, functionsCommand] as const
}

const ofNode = async () => [(await import("./node.ts")).node] as const

const all = async () => {
  const [processes, node, { up }, { parked, trace, why }, { manifest }] = await Promise.all([
    ofProcesses(),
    ofNode(),
    import("./up.ts"),
    import("./questions.ts"),
    import("./manifest.ts")
  ])
  return [up, ...processes, ...node, trace, why, parked, manifest] as const
}

/**
 * What stays loads nothing that it does not need: a node, without anything that has to do with Kubernetes, has half of
 * the memory, and a bridge or a host is there a quarter of a second earlier.
 */
const needed = (name: string | undefined) =>
  name === "node" ? ofNode() : name === "bridge" || name === "functions" ? ofProcesses() : all()

const extip = Command.make("extip").pipe(
  Command.withDescription("external IPs for Kubernetes Services, as reactive functions over NATS")
)
const command = extip.pipe(Command.withSubcommands(await needed(process.argv[2])), Command.run({ version }))

command.pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain({ teardown }))
