import { Kernel } from "../../../runtime/node/kernel/kernel.ts"
import { Poller } from "../../../runtime/node/kernel/poller.ts"
import { mark } from "./marked.ts"
import type { ClockQuestions } from "./questions.ts"
import { answering } from "./remote.ts"

/**
 * Stops the clock of one host's addresses: a paused machine's kernel does not run, and what its addresses had left to
 * live when it was paused they have left when it is resumed. Here the kernel is that of the whole machine, so they are
 * renewed.
 */
const kernel = Kernel.open({ mark, onEvent: () => undefined, poller: new Poller() })
const renewMillis = 400

/** Link and seconds that are left → addresses */
const left = new Map<string, { index: number; validSeconds: number; addresses: Array<string> }>()
let renewing: NodeJS.Timeout | undefined

const renew = async () => {
  for (const { index, validSeconds, addresses } of left.values())
    await kernel.put(index, addresses, validSeconds)
}

answering<ClockQuestions>({
  stop: async () => {
    for (const { index, addresses } of kernel.links()) {
      for (const { address, marked, validSeconds } of addresses) {
        if (!marked || !Number.isFinite(validSeconds)) continue
        const key = `${index} ${validSeconds}`
        const alike = left.get(key) ?? { index, validSeconds, addresses: [] }
        alike.addresses.push(address)
        left.set(key, alike)
      }
    }
    await renew()
    renewing = setInterval(renew, renewMillis)
    return null
  },
  start: async () => {
    clearInterval(renewing)
    await renew()
    left.clear()
    return null
  }
})
