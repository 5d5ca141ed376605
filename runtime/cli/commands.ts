import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import { node } from "./node.ts"
import { teardown } from "./process.ts"
import { bridge, functionsCommand } from "./processes.ts"
import { parked, trace, why } from "./questions.ts"
import { up } from "./up.ts"
import { version } from "./version.ts"

Command.make("extip").pipe(
  Command.withDescription("external IPs for Kubernetes Services, as reactive functions over NATS"),
  Command.withSubcommands([up, bridge, functionsCommand, node, trace, why, parked]),
  Command.run({ version }),
  Effect.provide(NodeServices.layer),
  NodeRuntime.runMain({ teardown })
)
