import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Command } from "effect/cli"
import * as Effect from "effect/Effect"
import { teardown } from "./process.ts"
import { version } from "./version.ts"

const ofUp = async () => [(await import("./up.ts")).up] as const

const ofProcesses = async () => {
  const { bridge, functionsCommand } = await import("./processes.ts")
  return [bridge, functionsCommand] as const
}

const ofNode = async () => [(await import("./node.ts")).node] as const

const ofQuestions = async () => {
  const { parked, trace, why } = await import("./questions.ts")
  return [trace, why, parked] as const
}

const ofManifest = async () => [(await import("./manifest.ts")).manifest] as const

const all = async () => {
  const [up, processes, node, questions, manifest] = await Promise.all([
    ofUp(),
    ofProcesses(),
    ofNode(),
    ofQuestions(),
    ofManifest()
  ])
  return [...up, ...processes, ...node, ...questions, ...manifest] as const
}

/**
 * Nothing loads what it does not need: a node, without anything that has to do with Kubernetes, has half of the memory;
 * a bridge or a host is there a quarter of a second earlier, and so is an answer.
 */
const needed = (name: string | undefined) => {
  switch (name) {
    case "up":
      return ofUp()
    case "bridge":
    case "functions":
      return ofProcesses()
    case "node":
      return ofNode()
    case "trace":
    case "why":
    case "parked":
      return ofQuestions()
    case "manifest":
      return ofManifest()
    default:
      return all()
  }
}

const extip = Command.make("extip").pipe(
  Command.withDescription("external IPs for Kubernetes Services, as reactive functions over NATS")
)
const command = extip.pipe(Command.withSubcommands(await needed(process.argv[2])), Command.run({ version }))

command.pipe(Effect.provide(NodeServices.layer), NodeRuntime.runMain({ teardown }))
