import { Kernel } from "../../../runtime/node/kernel/kernel.ts"
import { Poller } from "../../../runtime/node/kernel/poller.ts"
import { mark } from "./marked.ts"

/** Puts addresses on eth0, marked as extip's, for so many seconds, and does not renew them. */
const [seconds, ...addresses] = process.argv.slice(2)
const poller = new Poller()
const kernel = Kernel.open({ mark, onEvent: () => undefined, poller })
const eth0 = kernel.links().find(({ name }) => name === "eth0")!
const failed = (await kernel.put(eth0.index, addresses, Number(seconds))).filter((errno) => errno !== 0)
console.log(failed.length === 0 ? "put" : `errno ${failed.join(" ")}`)
// What the poller watches would keep us running.
process.exit(failed.length === 0 ? 0 : 1)
