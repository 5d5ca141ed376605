import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import { node } from "./node.ts"
import { teardown } from "./process.ts"
import { version } from "./version.ts"

const others = async () => {
  const [{ up }, { bridge, functionsCommand }, { parked, trace, why }, { manifest }] = await Promise.all([
    import("./up.ts"),
    import("./processes.ts"),
    import("./questions.ts"),
    import("./manifest.ts")
  ])
  return [up, bridge, functionsCommand, node, trace, why, parked, manifest] as const
}

const extip = Command.make("extip").pipe(
  Command.withDescription("external IPs for Kubernetes Services, as reactive functions over NATS")
)
// A node loads nothing that has to do with Kubernetes: half of its memory.
const command =
  process.argv[2] === "node"
    ? extip.pipe(Command.withSubcommands([node]), Command.run({ version }))
    : extip.pipe(Command.withSubcommands(await others()), Command.run({ version }))

command.pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain({ teardown }))
