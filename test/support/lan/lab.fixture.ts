import { expectOneHolder, Lan } from "../lan.ts"
import { until } from "../until.ts"

/**
 * A laboratory in a process of its own. Prints, in JSON, who runs the processes, what they are, and the directory of
 * logs; then goes through a few steps and closes it, or, with `stay`, waits to be killed.
 */
const lan = await Lan.open({ nodes: 2 })
const sleeper = lan.spawn("n1", "sleep", ["1000"])
await lan.own("n1", "10.77.1.1")
await expectOneHolder(lan, ["10.77.1.1"])
await lan.pause("n1")
const processes = lan.processes()
console.log(JSON.stringify({ uid: process.getuid!(), processes, directory: lan.directory }))
if (process.argv[2] === "stay") await new Promise(() => setInterval(() => undefined, 1_000))
await lan.resume("n1")
await lan.split("n2")
await lan.own("n2", "10.77.1.1")
await expectOneHolder(lan, ["10.77.1.1"])
await lan.heal()
await lan.powerCut("n1")
await until("what ran on it to be killed", () => sleeper.hasEnded())
await lan.powerOn("n1")
await expectOneHolder(lan, ["10.77.1.1"], { named: () => "n2" })
await lan.close()
console.log("closed")
